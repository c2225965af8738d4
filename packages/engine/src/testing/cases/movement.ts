/** fill, copy, scatterRows, embedding: nothing is computed, so results are equal to the bit. */
import { EXACT } from '../compare.ts';
import { type Case, product } from './case.ts';

const SIZES = [1, 3, 4, 7, 33, 1000, 70_001];

export const movementCases: Case[] = [
  {
    name: 'fill',
    tolerance: EXACT,
    programs: SIZES.map((size) => ({
      what: `size ${size}`,
      run: (lab) => lab.backend.fill(lab.result('out', [size]), -1.5),
    })),
  },
  {
    name: 'copy',
    tolerance: EXACT,
    programs: SIZES.map((size) => ({
      what: `size ${size}`,
      run: (lab) => lab.backend.copy({ out: lab.result('out', [size]), x: lab.normal([size]) }),
    })),
  },
  {
    name: 'copy of i32, and within one storage',
    tolerance: EXACT,
    programs: [
      {
        what: 'i32 (5, 3)',
        run: (lab) => {
          const x = lab.integers(Array.from({ length: 15 }, (_, i) => i * 77_777), [5, 3]);
          lab.backend.copy({ out: lab.changes('out', lab.integers(Array<number>(15).fill(-1), [5, 3])), x });
        },
      },
      {
        what: 'rows 0–3 to rows 5–8 of (9, 7)',
        run: (lab) => {
          const rows = lab.sum('rows', [9, 7]);
          lab.backend.copy({ out: rows.rows(5, 8), x: rows.rows(0, 3) });
        },
      },
    ],
  },
  {
    name: 'copy of q8 and q4',
    tolerance: EXACT,
    programs: (['q8', 'q4'] as const).map((dtype) => ({
      what: dtype,
      run: (lab) => {
        const copy = lab.room([5, 96], dtype);
        lab.backend.copy({ out: copy, x: lab.quantized([5, 96], dtype) });
        lab.backend.dequantize({ out: lab.result('out', [5, 96]), x: copy });
      },
    })),
  },
  {
    name: 'scatterRows: rows elsewhere stay as they are',
    tolerance: EXACT,
    programs: product([1, 3, 64, 65, 1024], [1, 3, 33]).map(([C, N]) => ({
      what: `C ${C}, N ${N}`,
      run: (lab) => {
        const rows = Array.from({ length: N }, (_, n) => (n * 7) % (2 * N + 5)); // distinct: 7 does not divide 11 or 71
        lab.backend.scatterRows({ out: lab.sum('out', [2 * N + 5, C]), x: lab.normal([N, C]), rows: lab.integers(rows) });
      },
    })),
  },
  {
    name: 'scatterRows of heads (N, K, D) into a cache (R, K, D)',
    tolerance: EXACT,
    programs: [
      {
        what: 'R 40, K 3, D 5, N 4',
        run: (lab) => {
          const rows = lab.integers([38, 12, 0, 13]);
          lab.backend.scatterRows({ out: lab.sum('out', [40, 3, 5]), x: lab.normal([4, 3, 5]), rows });
        },
      },
    ],
  },
  {
    name: 'embedding of f32 rows, ids repeated',
    tolerance: EXACT,
    programs: product([1, 3, 31, 64, 65, 384], [1, 5, 300]).map(([C, N]) => ({
      what: `C ${C}, N ${N}`,
      run: (lab) => {
        const V = 37;
        const ids = lab.integers(Array.from({ length: N }, () => lab.random.below(V)));
        lab.backend.embedding({ out: lab.result('out', [N, C]), table: lab.normal([V, C]), ids });
      },
    })),
  },
  {
    name: 'embedding of q8 and q4 rows',
    tolerance: EXACT,
    programs: product(['q8', 'q4'] as const, [1, 7, 50]).map(([dtype, N]) => ({
      what: `${dtype}, N ${N}`,
      run: (lab) => {
        const V = 13; // not a multiple of the rows that layouts interleave
        const ids = lab.integers(Array.from({ length: N }, () => lab.random.below(V)));
        lab.backend.embedding({ out: lab.result('out', [N, 96]), table: lab.quantized([V, 96], dtype), ids });
      },
    })),
  },
  {
    name: 'embeddingBackward adds repeated ids in the order of n',
    tolerance: EXACT,
    programs: product([1, 3, 31, 64, 65, 384], [1, 5, 300]).map(([C, N]) => ({
      what: `C ${C}, N ${N}`,
      run: (lab) => {
        const V = 37;
        const ids = lab.integers(Array.from({ length: N }, () => lab.random.below(V)));
        lab.backend.embeddingBackward({ dTable: lab.sum('dTable', [V, C]), dOut: lab.normal([N, C]), ids });
      },
    })),
  },
];
