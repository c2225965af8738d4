import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { lock } from './lock.ts';

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'parley-lock-'));
});
afterAll(async () => {
  await rm(folder, { recursive: true });
});

test('a lock that another process holds is free once that process was killed', async () => {
  const path = join(folder, 'a.lock');
  const program = `const { lock } = await import(${JSON.stringify(new URL('lock.ts', import.meta.url).href)});
    globalThis.held = await lock(${JSON.stringify(path)}, { wait: async () => {} });
    console.log('held');
    setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(child.stdout, 'data');
  let polls = 0;
  const wait = async (): Promise<void> => {
    polls++;
    if (polls === 3) {
      child.kill('SIGKILL');
      await once(child, 'close');
    }
  };
  let told = 0;
  using held = await lock(path, { wait, onWait: () => told++ });
  expect([held !== undefined, polls, told]).toEqual([true, 3, 1]);
});

test('waiting for a lock ends with the signal, and a place where none can be is an error', async () => {
  const path = join(folder, 'b.lock');
  using _held = await lock(path, { wait: async () => {} });
  const controller = new AbortController();
  await expect(lock(path, { signal: controller.signal, wait: async () => controller.abort(new Error('Ctrl-C')) })).rejects.toThrow('Ctrl-C');
  await expect(lock(folder, { wait: async () => {} })).rejects.toThrow('cannot be locked: put the cache on a local disk (PARLEY_CACHE)');
});
