/**
 * Training steps of gpt-14m, PyTorch and Parley in turn, so that both meet the same noise: `node bench/peers/train-pytorch.ts`.
 * Needs a python3 with torch (Debian: python3-torch, libopenblas0-pthread); PYTHON names another one.
 */
import { execFileSync } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { figure, machine, summarize } from '../harness.ts';
import { benchmark } from '../train.ts';
import { openblasEnvironment } from './openblas.ts';

const PAIRS = 5;
const threads = availableParallelism();
const script = fileURLToPath(new URL('train_pytorch.py', import.meta.url));
const python = process.env['PYTHON'] ?? '/usr/bin/python3';

const peer: number[] = [];
const parley: number[] = [];
for (let pair = 0; pair < PAIRS; pair++) {
  const output = execFileSync(python, [script, String(threads), '3'], { encoding: 'utf8', env: openblasEnvironment(threads) });
  peer.push(summarize(output.trim().split('\n').map(Number)).median);
  const record = await benchmark.run({ backend: 'auto', simd: 'auto', threads, repeats: 3 });
  parley.push(Number(record['tokens_per_second']));
  process.stderr.write(`pair ${pair + 1}: PyTorch ${peer.at(-1)?.toFixed(0)} tok/s, Parley ${parley.at(-1)?.toFixed(0)} tok/s\n`);
}
const ratios = parley.map((value, i) => value / (peer[i] ?? Number.NaN));
console.log(JSON.stringify({
  bench: 'train-pytorch', shape: 'gpt-14m', threads, ...figure('pytorch_tokens_per_second', summarize(peer)),
  ...figure('parley_tokens_per_second', summarize(parley)), ...figure('ratio', summarize(ratios)), ...machine(),
}));
