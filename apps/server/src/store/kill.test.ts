/** `kill -9` at any moment loses nothing that was acknowledged. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { DatabaseSync } from 'node:sqlite';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { openStore } from './open.ts';
import { engines } from './testing/databases.ts';

const CHILD = fileURLToPath(new URL('./testing/append-until-killed.ts', import.meta.url));
/** PARLEY_KILL_ROUNDS=100 for a long run. */
const KILLS = Math.max(3, Number(process.env.PARLEY_KILL_ROUNDS ?? 3));

/** Runs until it has printed so many lines, kills it, and gives what it had printed. */
async function appendAndDie(url: string, run: number, lines: number): Promise<string[]> {
  const child = spawn(process.execPath, [CHILD, url, String(run)], { stdio: ['ignore', 'pipe', 'inherit'] });
  let printed = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    printed += text;
    if (printed.split('\n').length > lines) child.kill('SIGKILL');
  });
  const [, signal] = await once(child, 'close') as [number | null, string | null];
  expect(signal).toBe('SIGKILL');
  // A line that was cut short was acknowledged too, but its id is not known whole.
  return printed.split('\n').slice(0, -1);
}

function expectIntact(path: string): void {
  using file = new DatabaseSync(path);
  expect(file.prepare('pragma integrity_check').all()).toEqual([{ integrity_check: 'ok' }]);
  expect(file.prepare('pragma foreign_key_check').all()).toEqual([]);
}

test.each(engines.map((engine) => ({ engine })))(`$engine.name: a writer killed ${KILLS} times has lost nothing that it was told is kept`, async ({ engine }) => {
  await using database = await engine.make();
  let acknowledged = 0;
  for (let run = 0; run < KILLS; run++) {
    // Different numbers of lines are different moments; in the first run it is that of opening and of the first writes.
    const lines = await appendAndDie(database.url, run, 1 + (run % 7) * 20);
    await using store = await openStore(database.url);
    const kept = new Map<string, string>();
    for (let writer = 0; writer < 4; writer++) {
      const id = `c-${run}-${writer}`;
      const messages = await store.conversations.messages('a', id);
      for (const message of messages) kept.set(`${id} ${message.id}`, message.status);
      // The tree hangs together up to the last message.
      expect((await store.conversations.branch('a', id).catch(() => [])).length).toBe(messages.length);
    }
    for (const line of lines) {
      acknowledged++;
      const [conversation, message, done] = line.split(' ');
      expect(kept.get(`${conversation} ${message}`), line).toMatch(done === 'done' ? /^complete$/ : /./);
    }
    const { items } = await store.conversations.list('a', { search: 'question 0', limit: 200 });
    expect(items.length).toBeGreaterThan(0);
  }
  expect(acknowledged).toBeGreaterThan(KILLS * 15);
  if (database.url.startsWith('sqlite:')) expectIntact(database.url.slice('sqlite:'.length));
  // Mostly processes that start: two seconds each alone, and on a machine with much else to do many times that.
}, 120_000 + KILLS * 30_000);
