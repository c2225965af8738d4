/**
 * q8 and q4. Codes are defined to the last bit (backend.ts), so quantize and dequantize agree exactly; products agree but for
 * the order in which blocks are summed. One wrong code of an activation would show at about 1e-3.
 */
import { EXACT } from '../compare.ts';
import type { Lab } from '../lab.ts';
import { type Case, product } from './case.ts';

const DTYPES = ['q8', 'q4'] as const;
const SHAPES: [number, number][] = [[1, 32], [3, 64], [4, 32], [5, 96], [7, 160], [33, 64], [64, 576]];
/** [rows of a, rows of w, columns]. */
const PRODUCTS: [number, number, number][] = [
  [1, 1, 32], [1, 3, 64], [1, 4, 96], [1, 33, 576], [2, 5, 32], [3, 7, 160], [4, 8, 64], [5, 13, 96], [7, 66, 64], [33, 31, 224],
];

function roundTrip(lab: Lab, dtype: 'q8' | 'q4', values: Float32Array, shape: [number, number]): void {
  const weights = lab.room(shape, dtype);
  lab.backend.quantize({ out: weights, x: lab.values(values, shape) });
  lab.backend.dequantize({ out: lab.result('out', shape), x: weights });
}

/** Blocks of 32 that stand at the edges of the definition. */
const EDGES: [string, (i: number) => number][] = [
  ['zeros', () => 0],
  ['one value', (i) => (i === 17 ? -3 : 0)],
  ['constant', () => 0.3],
  ['largest magnitude twice, + first', (i) => (i === 3 ? 2 : i === 9 ? -2 : 0.01 * i)],
  ['largest magnitude twice, − first', (i) => (i === 3 ? -2 : i === 9 ? 2 : 0.01 * i)],
  ['halves: ties in q8', (i) => (i === 0 ? 127 : i - 16.5)],
  ['halves: ties in q4', (i) => (i === 0 ? -8 : (i % 16) / 2 - 4)],
  ['tiny', (i) => (i - 15) * 1e-35],
  ['huge', (i) => (i - 15) * 1e30],
];

export const quantizedCases: Case[] = [
  ...DTYPES.map((dtype): Case => ({
    name: `quantize and dequantize ${dtype}`,
    tolerance: EXACT,
    programs: SHAPES.map((shape) => ({
      what: `[${shape.join(', ')}]`,
      run: (lab) => roundTrip(lab, dtype, lab.draw(shape), shape),
    })),
  })),
  ...DTYPES.map((dtype): Case => ({
    name: `quantize and dequantize ${dtype}: edges of the definition`,
    tolerance: EXACT,
    programs: EDGES.map(([what, value]) => ({
      what,
      run: (lab) => roundTrip(lab, dtype, Float32Array.from({ length: 5 * 64 }, (_, i) => value(i % 32)), [5, 64]),
    })),
  })),
  ...product(DTYPES, [false, true]).map(([dtype, withBias]): Case => ({
    name: `matmulQuantized ${dtype}${withBias ? ' with bias' : ''}`,
    tolerance: { largest: 1e-6 },
    programs: PRODUCTS.map(([N, R, C]) => ({
      what: `N ${N}, R ${R}, C ${C}`,
      run: (lab) => {
        const args = { out: lab.result('out', [N, R]), a: lab.normal([N, C]), w: lab.quantized([R, C], dtype, 0.1) };
        lab.backend.matmulQuantized(withBias ? { ...args, bias: lab.normal([R]) } : args);
      },
    })),
  })),
  ...DTYPES.map((dtype): Case => ({
    name: `matmulQuantized ${dtype}, large enough for several threads`,
    tolerance: { largest: 1e-6 },
    programs: ([[1, 1537, 288], [37, 161, 96]] as const).map(([N, R, C]) => ({
      what: `N ${N}, R ${R}, C ${C}`,
      run: (lab) => {
        const w = lab.quantized([R, C], dtype, 0.05);
        lab.backend.matmulQuantized({ out: lab.result('out', [N, R]), a: lab.normal([N, C]), w });
      },
    })),
  })),
  ...DTYPES.map((dtype): Case => ({
    name: `matmulQuantized ${dtype}: extreme codes and rows of zeros`,
    tolerance: { largest: 1e-6 },
    programs: EDGES.slice(0, 7).map(([what, value]) => ({
      what,
      run: (lab) => {
        const [N, R, C] = [3, 9, 64];
        const a = lab.values(Float32Array.from({ length: N * C }, (_, i) => (i < C ? value(i % 32) : i < 2 * C ? -1 : 0)), [N, C]);
        const w = lab.room([R, C], dtype);
        lab.backend.quantize({ out: w, x: lab.values(Float32Array.from({ length: R * C }, (_, i) => value((i * 5) % 32)), [R, C]) });
        lab.backend.matmulQuantized({ out: lab.result('out', [N, R]), a, w });
      },
    })),
  })),
];
