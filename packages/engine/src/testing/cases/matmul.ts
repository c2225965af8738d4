import type { Tolerance } from '../compare.ts';
import type { Lab } from '../lab.ts';
import { type Case, product } from './case.ts';

/** [M, N, K]: products of vectors and of odd matrices, one or more tiles and their remains. */
const SHAPES: [number, number, number][] = [
  [1, 1, 1], [1, 7, 5], [7, 1, 3], [5, 3, 1], [3, 5, 7], [4, 8, 4], [7, 31, 33], [33, 7, 65], [31, 65, 5],
  [1, 65, 129], [2, 129, 64], [65, 33, 31], [64, 64, 64], [13, 260, 17],
];
const LARGE: [number, number, number][] = [[129, 130, 67], [1, 1000, 257], [150, 40, 131], [33, 20, 515]];
/** Sums of up to 515 products of normal numbers: the largest is some 60, and single precision loses a few ulp on the way. */
const TOLERANCE: Tolerance = { largest: 2e-6 };

const TRANSPOSES = product([false, true], [false, true]);

interface Mode {
  readonly shape: [number, number, number];
  readonly transposes: [boolean, boolean];
  readonly mode: 'plain' | 'bias' | 'accumulate';
}

function show({ shape: [M, N, K], transposes: [transposeA, transposeB], mode }: Mode): string {
  return `M ${M}, N ${N}, K ${K}${transposeA ? ', transposeA' : ''}${transposeB ? ', transposeB' : ''}, ${mode}`;
}

function multiply(lab: Lab, { shape: [M, N, K], transposes: [transposeA, transposeB], mode }: Mode, deviation = 1): void {
  const a = lab.normal(transposeA ? [K, M] : [M, K], deviation);
  const b = lab.normal(transposeB ? [N, K] : [K, N]);
  const flags = { transposeA, transposeB };
  if (mode === 'plain') lab.backend.matmul({ out: lab.result('out', [M, N]), a, b, ...flags });
  else if (mode === 'bias') lab.backend.matmul({ out: lab.result('out', [M, N]), a, b, ...flags, bias: lab.normal([N]) });
  else lab.backend.matmul({ out: lab.sum('out', [M, N]), a, b, ...flags, accumulate: true });
}

const MODES = ['plain', 'bias', 'accumulate'] as const;

export const matmulCases: Case[] = [
  ...MODES.map((mode): Case => ({
    name: `matmul, ${mode}, every transpose`,
    tolerance: TOLERANCE,
    programs: product(SHAPES, TRANSPOSES).map(([shape, transposes]) => {
      const args: Mode = { shape, transposes, mode };
      return { what: show(args), run: (lab) => multiply(lab, args) };
    }),
  })),
  {
    name: 'matmul, large enough for several threads and tiles',
    tolerance: TOLERANCE,
    programs: product(LARGE, TRANSPOSES).map(([shape, transposes], i) => {
      const args: Mode = { shape, transposes, mode: MODES[i % 3] ?? 'plain' };
      return { what: show(args), run: (lab) => multiply(lab, args) };
    }),
  },
  {
    name: 'matmul of values around 1e-20 and 1e15',
    tolerance: TOLERANCE,
    programs: [1e-20, 1e15].map((deviation) => {
      const args: Mode = { shape: [7, 33, 65], transposes: [false, true], mode: 'plain' };
      return { what: `${show(args)}, deviation ${deviation}`, run: (lab) => multiply(lab, args, deviation) };
    }),
  },
  {
    name: 'matmul of zeros is zero',
    tolerance: { absolute: 0 },
    programs: TRANSPOSES.map((transposes) => {
      const args: Mode = { shape: [5, 9, 33], transposes, mode: 'plain' };
      return { what: show(args), run: (lab) => multiply(lab, args, 0) };
    }),
  },
  {
    name: 'sumRows',
    tolerance: { each: 1e-6, largest: 1e-6 },
    programs: product([1, 3, 7, 33, 64, 1000], [1, 3, 65, 700]).map(([C, N]) => ({
      what: `C ${C}, N ${N}`,
      run: (lab) => lab.backend.sumRows({ out: lab.sum('out', [C]), x: lab.normal([N, C]) }),
    })),
  },
];
