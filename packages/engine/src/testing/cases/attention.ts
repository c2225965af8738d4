import type { Tensor } from '../../tensor.ts';
import type { Tolerance } from '../compare.ts';
import type { Lab } from '../lab.ts';
import type { Case } from './case.ts';

/** Head counts and sizes: H query heads over K key heads of size D. */
interface Heads {
  readonly H: number;
  readonly K: number;
  readonly D: number;
}

/** [queryLength, keyLength] of one sequence: 7, 7 is a prompt; 1, 20 a decoded token with 19 keys before it. */
type Lengths = readonly (readonly [number, number])[];

const HEADS: Heads[] = [
  { H: 1, K: 1, D: 1 }, { H: 1, K: 1, D: 8 }, { H: 2, K: 2, D: 5 }, { H: 4, K: 2, D: 16 }, { H: 9, K: 3, D: 64 },
  { H: 8, K: 1, D: 32 }, { H: 3, K: 3, D: 33 }, { H: 6, K: 2, D: 7 },
];
const PROMPTS: Lengths[] = [[[1, 1]], [[7, 7]], [[3, 3], [1, 1], [31, 31], [5, 5]], [[33, 33], [2, 2]]];
const WITH_PAST: Lengths[] = [[[1, 20]], [[1, 1], [1, 65], [1, 7]], [[5, 9], [1, 33], [7, 7], [3, 31]]];

/** Longer than blocks of keys and tiles of rows, so that windows begin within, at the ends of and beyond them. */
const WINDOWED: Lengths[] = [[[7, 7], [131, 131]], [[65, 130], [1, 129]]];

const FORWARD: Tolerance = { each: 2e-6, largest: 2e-6 };
const BACKWARD: Tolerance = { each: 5e-6, largest: 1e-5 };

const showHeads = ({ H, K, D }: Heads): string => `H ${H}, K ${K}, D ${D}`;
const showLengths = (lengths: Lengths): string => lengths.map((pair) => pair.join(' of ')).join(', ');

/** Sequences end to end: their queries, and their keys with `gap` unused rows before each, as slots of a KV cache have. */
function pack(lab: Lab, lengths: Lengths, gap: number): { sequences: Tensor; N: number; R: number; maxQueryLength: number; used: boolean[] } {
  const rows: number[] = [];
  const used: boolean[] = [];
  let N = 0;
  for (const [queryLength, keyLength] of lengths) {
    used.push(...Array<boolean>(gap).fill(false));
    rows.push(N, queryLength, used.length, keyLength);
    N += queryLength;
    used.push(...Array<boolean>(keyLength).fill(true));
  }
  used.push(...Array<boolean>(gap).fill(false));
  const maxQueryLength = Math.max(...lengths.map(([queryLength]) => queryLength));
  return { sequences: lab.integers(rows, [lengths.length, 4]), N, R: used.length, maxQueryLength, used };
}

/** Keys or values (R, K, D), with NaN in the rows that no sequence owns: reading one of them shows. */
function cached(lab: Lab, used: readonly boolean[], { K, D }: Heads, deviation = 1): Tensor {
  const values = lab.draw([used.length, K, D], deviation);
  used.forEach((isUsed, row) => {
    if (!isUsed) values.fill(Number.NaN, row * K * D, (row + 1) * K * D);
  });
  return lab.values(values, [used.length, K, D]);
}

interface Options {
  readonly causal: boolean;
  readonly window?: number;
  readonly gap?: number;
  /** Deviation of the queries; the keys' is 1. */
  readonly deviation?: number;
  readonly keepLogSumExp?: boolean;
}

function forward(lab: Lab, heads: Heads, lengths: Lengths, options: Options): void {
  const { causal, window, gap = 0, deviation = 1, keepLogSumExp = true } = options;
  const { H, D } = heads;
  const { sequences, N, maxQueryLength, used } = pack(lab, lengths, gap);
  const args = {
    out: lab.result('out', [N, H, D]),
    q: lab.normal([N, H, D], deviation), k: cached(lab, used, heads), v: cached(lab, used, heads),
    sequences, maxQueryLength, causal, ...(window && { window }), scale: 1 / Math.sqrt(D),
  };
  lab.backend.attention(keepLogSumExp ? { ...args, logSumExp: lab.result('logSumExp', [N, H]) } : args);
}

type Gradient = 'dQ' | 'dK' | 'dV';

function backward(lab: Lab, heads: Heads, lengths: Lengths, { causal, window, gap = 0, gradients }: Options & { gradients: readonly Gradient[] }): void {
  const { H, K, D } = heads;
  const { sequences, N, R, maxQueryLength, used } = pack(lab, lengths, gap);
  const inputs = {
    q: lab.normal([N, H, D]), k: cached(lab, used, heads), v: cached(lab, used, heads),
    sequences, maxQueryLength, causal, ...(window && { window }), scale: 1 / Math.sqrt(D),
  };
  const [out, logSumExp] = [lab.room([N, H, D]), lab.room([N, H])];
  lab.backend.attention({ ...inputs, out, logSumExp });
  const grads = Object.fromEntries(gradients.map((name) => [name, lab.sum(name, name === 'dQ' ? [N, H, D] : [R, K, D])]));
  lab.backend.attentionBackward({ ...inputs, ...grads, out, logSumExp, dOut: lab.normal([N, H, D]) });
}

function forwardCase(name: string, list: readonly Lengths[], options: Options, tolerance = FORWARD): Case {
  const programs = HEADS.flatMap((heads) => list.map((lengths) => ({
    what: `${showHeads(heads)}; ${showLengths(lengths)}`,
    run: (lab: Lab) => forward(lab, heads, lengths, options),
  })));
  return { name, tolerance, programs };
}

function backwardCase(name: string, list: readonly Lengths[], options: Options & { gradients: readonly Gradient[] }): Case {
  const programs = HEADS.flatMap((heads) => list.map((lengths) => ({
    what: `${showHeads(heads)}; ${showLengths(lengths)}`,
    run: (lab: Lab) => backward(lab, heads, lengths, options),
  })));
  return { name, tolerance: BACKWARD, programs };
}

const ALL: readonly Gradient[] = ['dQ', 'dK', 'dV'];

export const attentionCases: Case[] = [
  forwardCase('attention, causal prompts', PROMPTS, { causal: true }),
  forwardCase('attention, bidirectional', [...PROMPTS, [[3, 9], [5, 2]]], { causal: false }),
  forwardCase('attention, causal with past, keys in cache slots', WITH_PAST, { causal: true, gap: 3 }),
  ...[1, 3, 64].map((window) => forwardCase(`attention in a window of ${window}`, [...WINDOWED, ...WITH_PAST], { causal: true, window, gap: 3 })),
  forwardCase('attention without logSumExp', [[[3, 3], [1, 33]]], { causal: true, gap: 2, keepLogSumExp: false }),
  // Scores of some ±1e4 are exact to 1e-7 of themselves, 1e-3: that much the probabilities may differ.
  forwardCase('attention with scores around 1e4', [[[7, 7], [1, 33]]], { causal: true, deviation: 1e4 }, { each: 2e-6, largest: 5e-3 }),
  forwardCase('attention of zero queries is the average', [[[7, 7], [1, 33]]], { causal: true, deviation: 0 }),
  {
    name: 'attention, large enough for several threads',
    tolerance: FORWARD,
    programs: [true, false].map((causal) => ({
      what: causal ? 'causal' : 'bidirectional',
      run: (lab) => forward(lab, { H: 6, K: 2, D: 32 }, [[70, 70], [3, 200], [1, 150], [33, 33]], { causal, gap: 5 }),
    })),
  },
  backwardCase('attentionBackward, causal prompts', PROMPTS, { causal: true, gradients: ALL }),
  ...[1, 3, 64].map((window) =>
    backwardCase(`attentionBackward in a window of ${window}`, [...WINDOWED, ...WITH_PAST], { causal: true, window, gap: 2, gradients: ALL })),
  ...ALL.map((gradient) => backwardCase(`attentionBackward in a window of 20, ${gradient} alone`, [[[90, 90], [5, 70]]], { causal: true, window: 20, gradients: [gradient] })),
  backwardCase('attentionBackward, bidirectional', [[[7, 7]], [[3, 9], [5, 2]]], { causal: false, gradients: ALL }),
  backwardCase('attentionBackward, causal with past', WITH_PAST, { causal: true, gap: 2, gradients: ALL }),
  ...ALL.map((gradient) => backwardCase(`attentionBackward, ${gradient} alone`, [[[3, 3], [9, 9]]], { causal: true, gradients: [gradient] })),
  {
    name: 'attentionBackward, large enough for several threads',
    tolerance: BACKWARD,
    programs: [true, false].map((causal) => ({
      what: causal ? 'causal' : 'bidirectional',
      run: (lab) => backward(lab, { H: 6, K: 2, D: 32 }, [[70, 70], [34, 34], [1, 1]], { causal, gradients: ALL }),
    })),
  },
];
