/** The script of a thread that says it is ready and dies at the first request, as one does that runs out of memory. */
import { parentPort } from 'node:worker_threads';

parentPort?.on('message', () => process.exit(7));
parentPort?.postMessage({ type: 'ready', info: {} });
