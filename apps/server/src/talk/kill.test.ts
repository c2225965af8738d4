/**
 * kill -9 under load. `parley serve` runs as its own process on a file; several people talk at once; at a random moment the process is
 * killed. The file has to be whole, and after a restart everything that was acknowledged has to be there. PARLEY_KILL_ROUNDS=100 for a long run,
 * which prints what it did.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { DatabaseSync } from 'node:sqlite';
import type { ConversationDetail, ConversationSummary, TalkMessage } from '@parley/protocol';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Client, type Numbered } from './testing/client.ts';

const ROUNDS = Number(process.env.PARLEY_KILL_ROUNDS ?? 1);
const PEOPLE = 6;
const cli = resolve(import.meta.dirname, '../../../../packages/parley/src/cli.ts');

/** What a client was told is kept. */
interface Acknowledged {
  /** Conversation → message → what it says. */
  readonly said: Map<string, Map<string, string>>;
  /** Answer → what was seen of it, and whether its end was. */
  readonly answers: Map<string, { readonly conversationId: string; text: string; ended: boolean }>;
}

const acknowledged: Acknowledged = { said: new Map(), answers: new Map() };
/** Things that clients were told in this round, and who waits for how many: moments are counted in them, so that a slow machine is under load too. */
let heard = 0;
let due = { count: Infinity, come: (): void => {} };
const hear = (): void => {
  if (++heard === due.count) due.come();
};
const afterHearing = async (count: number): Promise<void> => new Promise((come) => void ([heard, due] = [0, { count, come }]));
let state = Number(process.env.PARLEY_KILL_SEED ?? 20261122);
const random = (n: number): number => (state = (state * 48271) % 2147483647) % n;

let folder: string;
let child: ChildProcess | undefined;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'parley-kill-'));
});
afterAll(async () => {
  child?.kill('SIGKILL');
  await rm(folder, { recursive: true, force: true });
});

async function start(): Promise<Client> {
  const running = spawn(process.execPath, [cli, 'serve', '--model', 'parley-nano', '--threads', '1', '--port', '0', '--json', '--data', folder], { stdio: ['ignore', 'pipe', 'pipe'] });
  child = running;
  let faults = '';
  running.stderr.on('data', (text: Buffer) => void (faults += text.toString()));
  const line = once(createInterface(running.stdout), 'line') as Promise<[string]>;
  const ended = once(running, 'exit').then(() => {
    throw new Error(`the server did not start: ${faults}`);
  });
  ended.catch(() => {});
  const [text] = await Promise.race([line, ended]);
  return new Client((JSON.parse(text) as { url: string }).url);
}

/** Talks until the server is gone. */
async function talk(client: Client): Promise<void> {
  try {
    for (;;) {
      const known = [...acknowledged.said.keys()];
      let id = known[random(known.length * 2 + 1)];
      if (id === undefined) {
        ({ id } = await client.call<ConversationSummary>('POST', '/api/conversations', {}));
        acknowledged.said.set(id, new Map());
        hear();
      }
      const messages = acknowledged.said.get(id) ?? new Map<string, string>();
      const parents = [null, ...messages.keys()];
      const content = `Tell me about number ${random(1e6)}, ${'please '.repeat(random(20))}now.`;
      const message = await client.call<TalkMessage>('POST', `/api/conversations/${id}/messages`, { parentId: parents[random(parents.length)] ?? null, content });
      messages.set(message.id, content);
      hear();
      let answer: { conversationId: string; text: string; ended: boolean } | undefined;
      for await (const { event } of client.events('POST', `/api/conversations/${id}/generate`, { parentId: message.id, parameters: { max_tokens: 4 + random(60), temperature: 1.4 } }) as AsyncIterable<Numbered>) {
        if (event.type === 'start' && event.messageId !== null) {
          answer = { conversationId: id, text: '', ended: false };
          acknowledged.answers.set(event.messageId, answer);
        } else if (answer !== undefined && event.type === 'token') answer.text += event.text;
        if (answer !== undefined && event.type === 'end') answer.ended = true;
        hear();
        if (event.type === 'error') throw new Error(`an answer failed: ${event.error.message}`);
      }
    }
  } catch (error) {
    if (child?.exitCode === null && child.signalCode === null && !child.killed) throw error;
  }
}

/** The file as the kill left it, looked at in a copy: looking repairs. */
function checkFile(): void {
  const copy = join(folder, 'copy');
  for (const suffix of ['', '-wal']) cpSync(join(folder, `parley.sqlite${suffix}`), `${copy}.sqlite${suffix}`);
  const database = new DatabaseSync(`${copy}.sqlite`);
  try {
    expect(database.prepare('pragma integrity_check').all().map((row) => Object.values(row)[0])).toEqual(['ok']);
    expect(database.prepare('pragma foreign_key_check').all()).toEqual([]);
  } finally {
    database.close();
  }
}

async function checkKept(client: Client): Promise<void> {
  for (const [id, said] of acknowledged.said) {
    const { messages, activeLeaf, title } = await client.call<ConversationDetail>('GET', `/api/conversations/${id}`);
    const kept = new Map(messages.map((message) => [message.id, message] as const));
    for (const [messageId, content] of said) expect([messageId, kept.get(messageId)?.content]).toEqual([messageId, content]);
    for (const [messageId, answer] of acknowledged.answers) {
      if (answer.conversationId !== id) continue;
      const message = kept.get(messageId);
      expect([messageId, message?.role]).toEqual([messageId, 'assistant']);
      const content = message?.content ?? '';
      // What is written in between runs behind what is read, or before it where the reader had not read on.
      const right = answer.ended ? message?.status === 'complete' && content === answer.text : answer.text.startsWith(content) || content.startsWith(answer.text);
      expect([messageId, right, message?.status, content, answer]).toEqual([messageId, true, message?.status, content, answer]);
    }
    // No message in a state that nobody will end, none without its parent, none that failed without a word why.
    for (const message of messages) {
      expect(message.status).not.toBe('streaming');
      expect(message.parentId === null || kept.has(message.parentId)).toBe(true);
      expect([message.id, message.status === 'failed' ? message.details?.error?.code : 'interrupted']).toEqual([message.id, 'interrupted']);
    }
    expect(activeLeaf === null ? messages.length : Number(!kept.has(activeLeaf))).toBe(0);
    // The title follows its message in a write of its own.
    expect(title !== '' || said.size < 2).toBe(true);
  }
}

test(`kill -9 while ${PEOPLE} people talk (rounds: ${ROUNDS}): the file is whole and all that was acknowledged is there`, async () => {
  const began = performance.now();
  for (let round = 0; round <= ROUNDS; round++) {
    const client = await start();
    await checkKept(client);
    if (round === ROUNDS) break;
    const moment = afterHearing(5 + random(250));
    const people = Array.from({ length: PEOPLE }, async () => talk(client));
    await Promise.race([moment, Promise.all(people)]);
    child?.kill('SIGKILL');
    await Promise.all(people);
    checkFile();
  }
  const messages = [...acknowledged.said.values()].reduce((sum, each) => sum + each.size, 0);
  const answers = [...acknowledged.answers.values()];
  expect(messages).toBeGreaterThan(ROUNDS);
  if (process.env.PARLEY_KILL_ROUNDS !== undefined) {
    console.log(JSON.stringify({ kills: ROUNDS, conversations: acknowledged.said.size, messages, answers: answers.length, cutOff: answers.filter(({ ended }) => !ended).length, seconds: Math.round((performance.now() - began) / 1000) }));
  }
}, 60_000 + ROUNDS * 30_000);
