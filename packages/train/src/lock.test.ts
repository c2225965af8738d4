import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { CheckpointError } from './errors.ts';
import { lockRun } from './lock.ts';

let folder = '';
beforeAll(() => void (folder = mkdtempSync(join(tmpdir(), 'parley-lock-'))));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('a run\'s folder is one process\'s at a time, this one included, and free afterwards', () => {
  {
    using _ = lockRun(folder);
    expect(() => lockRun(folder)).toThrow(CheckpointError);
  }
  expect(existsSync(join(folder, 'lock'))).toBe(false);
  using again = lockRun(folder);
  expect(again).toBeDefined();
});

test('a living process keeps others out and is named; one that was killed does not', async () => {
  const script = `import { lockRun } from ${JSON.stringify(new URL('./lock.ts', import.meta.url).href)};
    lockRun(${JSON.stringify(folder)}); console.log('locked'); setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ['--input-type=module', '--eval', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  await new Promise((resolve) => void child.stdout.once('data', resolve));
  expect(() => lockRun(folder)).toThrow(`another process (${child.pid}) is training into ${folder}`);
  child.kill('SIGKILL');
  await new Promise((resolve) => void child.once('exit', resolve));
  lockRun(folder)[Symbol.dispose]();
});

test.each([
  ['half-written', '{"pid": 1'],
  ['of this process\'s number, before it', JSON.stringify({ pid: process.pid, started: 'earlier' })],
])('a lock that is left over is taken over: %s', (_case, text) => {
  writeFileSync(join(folder, 'lock'), text);
  using _lock = lockRun(folder);
  expect(readFileSync(join(folder, 'lock'), 'utf8')).not.toBe(text);
});
