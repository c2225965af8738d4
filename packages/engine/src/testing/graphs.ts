/** What is differentiated: every operation of `ops` that has a gradient, alone, and two chains of them. */
import type { Activation } from '../backend.ts';
import type { Context } from '../ops.ts';
import * as ops from '../ops.ts';
import { Random } from '../random.ts';
import type { Tensor } from '../tensor.ts';
import type { Graph } from './gradients.ts';

const KINDS: Activation[] = ['gelu', 'gelu_tanh', 'silu'];

/** Two sequences, of 4 and 3 rows. */
const SEQUENCES = Int32Array.of(0, 4, 0, 4, 4, 3, 4, 3);
const POSITIONS = Int32Array.of(0, 1, 2, 3, 0, 1, 2);

interface Angles {
  readonly positions: Tensor;
  readonly cos: Tensor;
  readonly sin: Tensor;
}

/** Tables of 8 positions for heads of size D. */
function angles({ arena }: Context, D: number): Angles {
  const table = (f: (angle: number) => number): Float32Array =>
    Float32Array.from({ length: 8 * (D / 2) }, (_, i) => f(Math.floor(i / (D / 2)) * 100 ** ((-2 * (i % (D / 2))) / D)));
  return { positions: arena.from(POSITIONS), cos: arena.from(table(Math.cos), [8, D / 2]), sin: arena.from(table(Math.sin), [8, D / 2]) };
}

/** Crosses entropy over a copy, because its backward pass writes over its logits. */
function lossOf(ctx: Context, logits: Tensor, scale: number): Tensor {
  const targets = ctx.arena.from(Int32Array.from({ length: logits.dim(0) }, (_, n) => (n === 1 ? -100 : (n * 5) % logits.dim(1))));
  return ops.crossEntropy(ctx, logits, { targets, scale });
}

const weightAndBias = (C: number) => ({ weight: { shape: [C], mean: 1, deviation: 0.3 }, bias: { shape: [C] } });

const attentionGraphs = [
  { what: 'causal', H: 2, K: 2, D: 5, causal: true },
  { what: 'bidirectional', H: 2, K: 2, D: 5, causal: false },
  { what: 'causal, 6 query heads over 2', H: 6, K: 2, D: 8, causal: true },
  { what: 'causal, 3 query heads over 1', H: 3, K: 1, D: 3, causal: true },
].map(({ what, H, K, D, causal }): Graph => ({
  name: `attention, ${what}, two sequences`,
  inputs: { q: { shape: [7, H, D] }, k: { shape: [7, K, D] }, v: { shape: [7, K, D] } },
  build: (ctx, input) => ops.attention(ctx, {
    q: input('q'), k: input('k'), v: input('v'),
    sequences: ctx.arena.from(SEQUENCES, [2, 4]), maxQueryLength: 4, causal, scale: 1 / Math.sqrt(D),
  }),
}));

/** Linear, GELU, linear, cross-entropy. */
const perceptron: Graph = {
  name: 'a perceptron with a loss: linear, gelu_tanh, linear, crossEntropy',
  inputs: {
    x: { shape: [7, 9] },
    w1: { shape: [13, 9], deviation: 0.3 }, b1: { shape: [13], deviation: 0.3 },
    w2: { shape: [11, 13], deviation: 0.3 }, b2: { shape: [11], deviation: 0.3 },
  },
  lossScale: 1 / 6,
  build: (ctx, input) => {
    const hidden = ops.activation(ctx, ops.linear(ctx, input('x'), input('w1'), input('b1')), 'gelu_tanh');
    return lossOf(ctx, ops.linear(ctx, hidden, input('w2'), input('b2')), 1 / 6);
  },
};

/** A whole small Llama: one block, the table of embeddings tied to the output. */
const llama: Graph = (() => {
  const [V, C, H, K, D, F] = [17, 12, 4, 2, 6, 20];
  return {
    name: 'a transformer with a loss: embedding, RMS norm, rotary attention over grouped heads, SwiGLU, tied output',
    inputs: {
      table: { shape: [V, C], deviation: 0.5 },
      norm1: { shape: [C], mean: 1, deviation: 0.2 }, norm2: { shape: [C], mean: 1, deviation: 0.2 }, norm3: { shape: [C], mean: 1, deviation: 0.2 },
      wq: { shape: [H * D, C], deviation: 0.3 }, wk: { shape: [K * D, C], deviation: 0.3 }, wv: { shape: [K * D, C], deviation: 0.3 },
      wo: { shape: [C, H * D], deviation: 0.3 },
      gate: { shape: [F, C], deviation: 0.3 }, up: { shape: [F, C], deviation: 0.3 }, down: { shape: [C, F], deviation: 0.3 },
    },
    lossScale: 1 / 6,
    build: (ctx, input) => {
      const turns = angles(ctx, D);
      const norm = (x: Tensor, weight: string): Tensor => ops.rmsNorm(ctx, x, { weight: input(weight), epsilon: 1e-5 });
      const heads = (x: Tensor, weight: string, count: number): Tensor => ops.linear(ctx, x, input(weight)).reshape(7, count, D);
      const x = ops.embedding(ctx, input('table'), ctx.arena.from(Int32Array.of(3, 1, 4, 1, 5, 9, 2)));
      const a = norm(x, 'norm1');
      const attended = ops.attention(ctx, {
        q: ops.rotary(ctx, heads(a, 'wq', H), turns), k: ops.rotary(ctx, heads(a, 'wk', K), turns), v: heads(a, 'wv', K),
        sequences: ctx.arena.from(SEQUENCES, [2, 4]), maxQueryLength: 4, causal: true, scale: 1 / Math.sqrt(D),
      });
      const y = ops.add(ctx, x, ops.linear(ctx, attended.reshape(7, H * D), input('wo')));
      const b = norm(y, 'norm2');
      const product = ops.gated(ctx, ops.linear(ctx, b, input('gate')), ops.linear(ctx, b, input('up')), 'silu');
      const z = ops.add(ctx, y, ops.linear(ctx, product, input('down')));
      return lossOf(ctx, ops.linear(ctx, norm(z, 'norm3'), input('table')), 1 / 6);
    },
  };
})();

export const graphs: readonly Graph[] = [
  {
    name: 'linear with bias',
    inputs: { x: { shape: [5, 7] }, w: { shape: [9, 7] }, b: { shape: [9] } },
    build: (ctx, input) => ops.linear(ctx, input('x'), input('w'), input('b')),
  },
  {
    name: 'linear, larger, without bias',
    inputs: { x: { shape: [33, 65] }, w: { shape: [31, 65], deviation: 0.2 } },
    build: (ctx, input) => ops.linear(ctx, input('x'), input('w')),
  },
  {
    name: 'embedding with repeated ids',
    inputs: { table: { shape: [6, 5] } },
    build: (ctx, input) => ops.embedding(ctx, input('table'), ctx.arena.from(Int32Array.of(2, 0, 2, 5, 2, 1, 0))),
  },
  ...[5, 33].map((C): Graph => ({
    name: `layerNorm of ${C}`,
    inputs: { x: { shape: [7, C] }, ...weightAndBias(C) },
    build: (ctx, input) => ops.layerNorm(ctx, input('x'), { weight: input('weight'), bias: input('bias'), epsilon: 1e-5 }),
  })),
  ...[5, 33].map((C): Graph => ({
    name: `rmsNorm of ${C}`,
    inputs: { x: { shape: [7, C] }, weight: weightAndBias(C).weight },
    build: (ctx, input) => ops.rmsNorm(ctx, input('x'), { weight: input('weight'), epsilon: 1e-5 }),
  })),
  {
    name: 'rotary',
    inputs: { x: { shape: [7, 3, 6] } },
    build: (ctx, input) => ops.rotary(ctx, input('x'), angles(ctx, 6)),
  },
  ...attentionGraphs,
  {
    name: 'add, and a tensor added to itself',
    inputs: { a: { shape: [3, 5] }, b: { shape: [3, 5] } },
    build: (ctx, input) => ops.add(ctx, ops.add(ctx, input('a'), input('b')), input('a')),
  },
  ...KINDS.map((kind): Graph => ({
    name: `activation ${kind}`,
    inputs: { x: { shape: [5, 33], deviation: 2 } },
    build: (ctx, input) => ops.activation(ctx, input('x'), kind),
  })),
  ...KINDS.map((kind): Graph => ({
    name: `gated ${kind}`,
    inputs: { gate: { shape: [5, 33], deviation: 2 }, up: { shape: [5, 33] } },
    build: (ctx, input) => ops.gated(ctx, input('gate'), input('up'), kind),
  })),
  {
    name: 'scale, and a tensor beside its scaled self',
    inputs: { x: { shape: [3, 33] } },
    build: (ctx, input) => ops.add(ctx, ops.scale(ctx, input('x'), -2.5), input('x')),
  },
  {
    name: 'dropout of a third, the same draws each time',
    inputs: { x: { shape: [7, 33] } },
    build: (ctx, input) => ops.dropout({ ...ctx, random: new Random(5) }, input('x'), 1 / 3),
  },
  {
    name: 'crossEntropy with an ignored target',
    inputs: { logits: { shape: [5, 9], deviation: 2 } },
    lossScale: 0.25,
    // Through an addition of zeros: backward turns the logits into their gradient, and an input's values must stay.
    build: (ctx, input) => lossOf(ctx, ops.add(ctx, input('logits'), ctx.arena.from(new Float32Array(45), [5, 9])), 0.25),
  },
  perceptron,
  llama,
];
