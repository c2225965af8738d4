/** The script of a pool thread in Node. */
import { parentPort, workerData } from 'node:worker_threads';
import { runPoolThread } from '../backends/wasm/thread.ts';
import type { PoolThreadStart } from '../platform.ts';

runPoolThread(workerData as PoolThreadStart, () => parentPort?.postMessage('ready'));
