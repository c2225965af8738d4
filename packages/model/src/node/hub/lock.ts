/**
 * One process at a time for a model in the cache. The lock is the operating system's, by way of SQLite, which ships with Node and holds it
 * on every platform: it goes when its process goes, however that ends, so that no lock is ever stale.
 */
import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { DatabaseSync } from 'node:sqlite';
import { HubError } from './errors.ts';
import type { Wait } from './retry.ts';

const BUSY = 5;
const POLL = 200;

/** Holds `path` locked until it is disposed. `onWait` is called once if another holds it. Throws HubError `cache`, or the signal's reason. */
export async function lock(path: string, options: { wait: Wait; signal?: AbortSignal | undefined; onWait?: () => void }): Promise<Disposable> {
  const { wait, signal, onWait } = options;
  // Only here: what merely looks into the cache starts sooner without it.
  const { DatabaseSync: Database } = await import('node:sqlite');
  await mkdir(dirname(path), { recursive: true });
  for (let attempt = 0; ; attempt++) {
    signal?.throwIfAborted();
    let database: DatabaseSync | undefined;
    try {
      database = new Database(path, { timeout: 0 });
      database.exec('BEGIN EXCLUSIVE');
      const held = database;
      return { [Symbol.dispose]: () => held.close() };
    } catch (cause) {
      database?.close();
      if (!(cause instanceof Error && 'errcode' in cause && cause.errcode === BUSY)) {
        throw new HubError('cache', `${path} cannot be locked: put the cache on a local disk (PARLEY_CACHE)`, { file: path, cause });
      }
    }
    if (attempt === 0) onWait?.();
    await wait(POLL, signal);
  }
}
