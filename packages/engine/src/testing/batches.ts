/** A row's result does not depend on its company: a batch of N gives the same bits as N of one, a cache the same as a prompt. */
import { describe, test } from 'vitest';
import type { Backend } from '../backend.ts';
import type { Tensor } from '../tensor.ts';
import { expectSameBits } from './compare.ts';
import { type Lab, type Results, run } from './lab.ts';

/** Runs an operation on rows start…end of its inputs and outputs. */
type OnRows = (start: number, end: number) => void;

/** Makes inputs (once), and runs them under `out` in groups of `size` rows. */
interface RowOperation {
  readonly name: string;
  /** Rows in the batch. */
  readonly N: number;
  readonly prepare: (lab: Lab, N: number) => OnRows;
}

const rowOperations: RowOperation[] = [
  ...([[17, 65, 33], [9, 300, 384], [70, 31, 129]] as const).map(([N, M, K]): RowOperation => ({
    name: `matmul with transposeB and bias, ${N} rows of ${K} to ${M}`,
    N,
    prepare: (lab) => {
      const [a, b, bias] = [lab.normal([N, K]), lab.normal([M, K]), lab.normal([M])];
      const out = lab.result('out', [N, M]);
      return (start, end) => lab.backend.matmul({ out: out.rows(start, end), a: a.rows(start, end), b, bias, transposeB: true });
    },
  })),
  ...([['q8', 17, 33, 96], ['q4', 17, 33, 96], ['q8', 37, 129, 288], ['q4', 37, 129, 288]] as const).map(([dtype, N, R, C]): RowOperation => ({
    name: `matmulQuantized ${dtype}, ${N} rows of ${C} to ${R}`,
    N,
    prepare: (lab) => {
      const [a, w, bias] = [lab.normal([N, C]), lab.quantized([R, C], dtype), lab.normal([R])];
      const out = lab.result('out', [N, R]);
      return (start, end) => lab.backend.matmulQuantized({ out: out.rows(start, end), a: a.rows(start, end), w, bias });
    },
  })),
  ...[65, 384].map((C): RowOperation => ({
    name: `layerNorm of ${C}`,
    N: 19,
    prepare: (lab, N) => {
      const [x, weight, bias] = [lab.normal([N, C]), lab.normal([C]), lab.normal([C])];
      const [out, mean, rstd] = [lab.result('out', [N, C]), lab.result('mean', [N]), lab.result('rstd', [N])];
      const part = (tensor: Tensor, start: number, end: number): Tensor => tensor.rows(start, end);
      return (start, end) => lab.backend.layerNorm({
        out: part(out, start, end), mean: part(mean, start, end), rstd: part(rstd, start, end), x: part(x, start, end),
        weight, bias, epsilon: 1e-5,
      });
    },
  })),
  ...[65, 384].map((C): RowOperation => ({
    name: `rmsNorm of ${C}`,
    N: 19,
    prepare: (lab, N) => {
      const [x, weight] = [lab.normal([N, C]), lab.normal([C])];
      const [out, rstd] = [lab.result('out', [N, C]), lab.result('rstd', [N])];
      return (start, end) => {
        lab.backend.rmsNorm({ out: out.rows(start, end), rstd: rstd.rows(start, end), x: x.rows(start, end), weight, epsilon: 1e-5 });
      };
    },
  })),
  ...(['gelu', 'gelu_tanh', 'silu'] as const).map((kind): RowOperation => ({
    name: `activation and gated ${kind} of 65`,
    N: 19,
    prepare: (lab, N) => {
      const [x, up] = [lab.normal([N, 65], 3), lab.normal([N, 65])];
      const [out, product] = [lab.result('activation', [N, 65]), lab.result('gated', [N, 65])];
      return (start, end) => {
        lab.backend.activation({ out: out.rows(start, end), x: x.rows(start, end), kind });
        lab.backend.gated({ out: product.rows(start, end), gate: x.rows(start, end), up: up.rows(start, end), kind });
      };
    },
  })),
  {
    name: 'crossEntropy over 300',
    N: 19,
    prepare: (lab, N) => {
      const [logits, targets] = [lab.normal([N, 300], 3), lab.integers(Array.from({ length: N }, () => lab.random.below(300)))];
      const [losses, logSumExp] = [lab.result('losses', [N]), lab.result('logSumExp', [N])];
      return (start, end) => lab.backend.crossEntropy({
        losses: losses.rows(start, end), logSumExp: logSumExp.rows(start, end),
        logits: logits.rows(start, end), targets: targets.rows(start, end), ignoreIndex: -100,
      });
    },
  },
];

/** Sequences of different lengths, some with past: each attended to alone, into the same `out`. */
function attention(lab: Lab, { together, causal }: { together: boolean; causal: boolean }): void {
  const [H, K, D] = [6, 2, 24];
  const spans = [[0, 5, 0, 5], [5, 1, 9, 65], [6, 33, 80, 40], [39, 1, 130, 1]]; // queryStart, queryLength, keyStart, keyLength
  const [q, k, v] = [lab.normal([40, H, D]), lab.normal([131, K, D]), lab.normal([131, K, D])];
  const args = { q, k, v, causal, scale: 0.2, out: lab.result('out', [40, H, D]), logSumExp: lab.result('logSumExp', [40, H]) };
  const sequences = lab.integers(spans.flat(), [spans.length, 4]);
  if (together) lab.backend.attention({ ...args, sequences, maxQueryLength: 33 });
  else {
    spans.forEach(([, queryLength = 0], s) => {
      lab.backend.attention({ ...args, sequences: sequences.rows(s, s + 1), maxQueryLength: queryLength });
    });
  }
}

/** A prompt of 37 attended to at once, or one query at a time with the keys before it as its past. */
function decode(lab: Lab, { atOnce, D }: { atOnce: boolean; D: number }): void {
  const [N, H, K] = [37, 6, 2];
  const [q, k, v] = [lab.normal([N, H, D]), lab.normal([N, K, D]), lab.normal([N, K, D])];
  const args = { q, k, v, causal: true, scale: 0.2, out: lab.result('out', [N, H, D]) };
  const spans = Array.from({ length: N }, (_, i) => [i, 1, 0, i + 1]);
  const single = lab.integers(spans.flat(), [N, 4]);
  if (atOnce) lab.backend.attention({ ...args, sequences: lab.integers([0, N, 0, N], [1, 4]), maxQueryLength: N });
  else for (let i = 0; i < N; i++) lab.backend.attention({ ...args, sequences: single.rows(i, i + 1), maxQueryLength: 1 });
}

export function describeBatches(backendOf: () => Backend): void {
  describe('a batch of N gives the same bits as N of one', () => {
    for (const { name, N, prepare } of rowOperations) {
      test(`${name}; groups of 3 and of 4 too`, async () => {
        const inGroups = async (size: number): Promise<Results> => run(backendOf(), {
          what: name,
          run: (lab) => {
            const onRows = prepare(lab, N);
            for (let start = 0; start < N; start += size) onRows(start, Math.min(N, start + size));
          },
        });
        const together = await inGroups(N);
        for (const size of [1, 3, 4]) expectSameBits(await inGroups(size), together, `groups of ${size} against ${N} rows at once`);
      });
    }
    for (const causal of [true, false]) {
      test(`attention, ${causal ? 'causal' : 'bidirectional'}: sequences together and each alone`, async () => {
        const what = 'attention';
        const together = await run(backendOf(), { what, run: (lab) => attention(lab, { together: true, causal }) });
        const alone = await run(backendOf(), { what, run: (lab) => attention(lab, { together: false, causal }) });
        expectSameBits(alone, together, 'each alone against together');
      });
    }
    for (const D of [5, 64]) {
      test(`attention, heads of ${D}: a prompt at once, and token by token over a cache`, async () => {
        const together = await run(backendOf(), { what: 'prompt', run: (lab) => decode(lab, { atOnce: true, D }) });
        const alone = await run(backendOf(), { what: 'decode', run: (lab) => decode(lab, { atOnce: false, D }) });
        expectSameBits(alone, together, 'token by token against at once');
      });
    }
  });
}
