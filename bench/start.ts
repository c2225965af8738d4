/**
 * From the shell to the first byte of an answer: `parley generate` with the model that ships, as a process of its own. The limit is
 * what Node takes to start, and is measured beside it.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { BACKEND_FLAGS, type Benchmark, figure, machine, type Spread, summarize } from './harness.ts';

const CLI = fileURLToPath(new URL('../packages/parley/bin/parley.js', import.meta.url));

/** Milliseconds until a process writes its first byte. */
async function firstByte(args: readonly string[]): Promise<number> {
  const start = performance.now();
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const exit = once(child, 'exit');
  const errors: Buffer[] = [];
  child.stderr.on('data', (chunk: Buffer) => errors.push(chunk));
  const first = await Promise.race([once(child.stdout, 'data').then(() => performance.now()), exit.then(() => Number.NaN)]);
  child.stdout.resume();
  const [code] = (await exit) as [number];
  if (code !== 0 || Number.isNaN(first)) throw new Error(`${args.join(' ')} failed: ${Buffer.concat(errors).toString()}`);
  return first - start;
}

async function times(repeats: number, args: readonly string[]): Promise<Spread> {
  await firstByte(args);
  const samples: number[] = [];
  for (let i = 0; i < repeats; i++) samples.push(await firstByte(args));
  return summarize(samples);
}

export const benchmark: Benchmark = {
  name: 'start',
  summary: 'milliseconds from the shell to the first token, shipped model; --shape names another model',
  takes: ['shape', ...BACKEND_FLAGS],
  async run(options) {
    const { shape = 'parley-mini', backend, threads } = options;
    const flags = ['--backend', backend, ...(threads === undefined ? [] : ['--threads', String(threads)])];
    const generate = await times(options.repeats, [CLI, 'generate', 'Once upon a time', '--model', shape, '--max-new-tokens', '8', ...flags]);
    const node = await times(options.repeats, ['-e', 'console.log(1)']);
    return { bench: 'start', shape, backend, ...figure('first_token_ms', generate), ...figure('node_alone_ms', node), ...machine() };
  },
};
