/** `parley serve` as a process: signals, exit statuses, the configuration, and what it refuses. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, expect, test } from 'vitest';
import { browserCommand } from '../browser.ts';

const CLI = resolve(import.meta.dirname, '../cli.ts');
const running: ChildProcess[] = [];
afterEach(() => {
  for (const child of running.splice(0)) child.kill('SIGKILL');
});

interface Run {
  readonly child: ChildProcess;
  readonly url: string;
  readonly errors: () => string;
  readonly ended: Promise<number | string | null>;
}

const start = (args: readonly string[]): { child: ChildProcess; errors: () => string; ended: Run['ended'] } => {
  const child = spawn(process.execPath, [CLI, 'serve', '--json', ...args], { env: { ...process.env, PARLEY_DATA: 'none' }, stdio: ['ignore', 'pipe', 'pipe'] });
  running.push(child);
  let text = '';
  child.stderr?.setEncoding('utf8').on('data', (part: string) => void (text += part));
  return { child, errors: () => text, ended: once(child, 'close').then(([code, signal]) => (code ?? signal) as number | string | null) };
};

async function serve(args: readonly string[]): Promise<Run> {
  const run = start(args);
  const lines = createInterface({ input: run.child.stdout ?? process.stdin });
  const first = await Promise.race([once(lines, 'line').then(([line]) => String(line)), run.ended.then(() => null)]);
  if (first === null) throw new Error(run.errors());
  return { ...run, url: (JSON.parse(first) as { url: string }).url };
}

/** A stream that goes on for long: its first words are here when this resolves. */
async function endless(url: string): Promise<ReadableStreamDefaultReader<Uint8Array>> {
  const response = await fetch(`${url}/v1/chat/completions`, {
    method: 'POST', headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'default', stream: true, n: 128, max_tokens: 450, temperature: 1, messages: [{ role: 'user', content: 'Hello!' }] }),
  });
  const reader = response.body?.getReader();
  if (reader === undefined) throw new Error('no body');
  await reader.read();
  return reader;
}

test('SIGTERM ends it: status 0 where nothing runs, 1 where an answer was cut off, 130 at once by a second signal', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'parley-serve-'));
  try {
    const config = join(folder, 'parley.yaml');
    await writeFile(config, 'models: [parley-nano]\naliases: { mine: parley-nano }\nport: 0\nthreads: 1\ndrainSeconds: 0.5\nlog: text\n');
    const [idle, cut, hurried] = await Promise.all([serve(['--config', config]), serve(['--config', config]), serve(['--config', config, '--drain', '60', '--log', 'off'])]);
    expect(((await (await fetch(`${idle.url}/ready`)).json()) as { status: string }).status).toBe('ready');
    idle.child.kill('SIGTERM');
    expect(await idle.ended).toBe(0);
    expect(idle.errors()).toContain('GET /ready 200');

    const reader = await endless(cut.url);
    cut.child.kill('SIGTERM');
    let text = '';
    for (let part = await reader.read(); !part.done; part = await reader.read()) text += Buffer.from(part.value).toString();
    expect(text.slice(-300)).toMatch(/"code":"server_shutting_down"\}\}\n\n$/);
    expect(await cut.ended).toBe(1);
    expect(cut.errors()).toContain('1 answer was cut off after 0.5 s');

    const other = await endless(hurried.url);
    hurried.child.kill('SIGINT');
    while (!hurried.errors().includes('Ctrl-C again')) await new Promise((done) => setTimeout(done, 10));
    hurried.child.kill('SIGINT');
    expect(await hurried.ended).toBe(130);
    await other.cancel().catch(() => {});
  } finally {
    await rm(folder, { recursive: true });
  }
});

test.each([
  [['--host', '0.0.0.0'], 1, "make a key with 'parley keys create'"],
  [['--cors', '*'], 2, 'It takes an origin'],
  [['--log-content'], 2, '--log-content needs --log json or --log text'],
  [['--config', 'nowhere.yaml'], 1, 'the configuration nowhere.yaml cannot be read'],
])('%j is refused', async (args, status, message) => {
  const run = start(['--model', 'parley-nano', '--port', '0', ...args]);
  expect(await run.ended).toBe(status);
  expect(run.errors()).toContain(message);
});

test('a browser is opened where somebody has one', () => {
  const url = 'http://127.0.0.1:8080';
  expect(browserCommand(url, { env: { DISPLAY: ':0' }, platform: 'linux' })).toEqual(['xdg-open', url]);
  expect(browserCommand(url, { env: {}, platform: 'linux' })).toBeNull();
  expect(browserCommand(url, { env: { CI: 'true', DISPLAY: ':0' }, platform: 'linux' })).toBeNull();
  expect(browserCommand(url, { env: {}, platform: 'darwin' })).toEqual(['open', url]);
});
