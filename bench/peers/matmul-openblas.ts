/**
 * f32 products of 1024³, OpenBLAS (through numpy) and Parley in turn: `node bench/peers/matmul-openblas.ts [PAIRS]` (7).
 * Needs a python3 with numpy on OpenBLAS (Debian: python3-numpy, libopenblas0-pthread); PYTHON names another one.
 */
import { spawn } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { Tensor } from '@parley/engine';
import { createBackend } from '@parley/engine/node';
import { figure, machine, rates, summarize } from '../harness.ts';
import { openblasEnvironment } from './openblas.ts';

const PAIRS = Number(process.argv[2] ?? 7);
const SIZE = 1024;
const REPEATS = 20;
const threads = availableParallelism();
const script = fileURLToPath(new URL('matmul_openblas.py', import.meta.url));
const python = spawn(process.env['PYTHON'] ?? '/usr/bin/python3', [script, String(SIZE), String(REPEATS)], {
  env: openblasEnvironment(threads), stdio: ['pipe', 'pipe', 'inherit'],
});
const lines = createInterface(python.stdout)[Symbol.asyncIterator]();

await using backend = await createBackend({ backend: 'native', threads });
using a = Tensor.allocate(backend, [SIZE, SIZE]);
using b = Tensor.allocate(backend, [SIZE, SIZE]);
using out = Tensor.allocate(backend, [SIZE, SIZE]);
a.write(Float32Array.from({ length: SIZE * SIZE }, (_, i) => Math.sin(i)));
b.write(Float32Array.from({ length: SIZE * SIZE }, (_, i) => Math.cos(i)));

const peer: number[] = [];
const parley: number[] = [];
for (let pair = 0; pair < PAIRS; pair++) {
  python.stdin.write('\n');
  peer.push(Number((await lines.next()).value));
  const { median } = await rates(2 * SIZE ** 3, () => backend.matmul({ out, a, b, transposeB: true }), { repeats: REPEATS });
  parley.push(median / 1e9);
  process.stderr.write(`pair ${pair + 1}: OpenBLAS ${peer.at(-1)?.toFixed(1)} GFLOP/s, Parley ${parley.at(-1)?.toFixed(1)}\n`);
}
python.stdin.end();
console.log(JSON.stringify({
  bench: 'matmul-openblas', shape: `${SIZE}x${SIZE}x${SIZE}`, backend: backend.description, threads, ...figure('openblas_gflops', summarize(peer)),
  ...figure('parley_gflops', summarize(parley)), ...figure('ratio', summarize(parley.map((value, i) => value / (peer[i] ?? Number.NaN)))), ...machine(),
}));
