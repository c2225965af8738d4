import { type Case, product } from './case.ts';

const SHAPES: [number, number, number][] = [ // [N, H, D]
  [1, 1, 2], [3, 1, 6], [5, 3, 8], [7, 2, 10], [1, 9, 64], [33, 3, 32], [65, 2, 66], [130, 6, 64],
];
const P = 140;

export const rotaryCases: Case[] = product(['plain', 'in place', 'accumulate'] as const, [false, true]).map(([mode, inverse]) => ({
  name: `rotary${inverse ? ' inverse' : ''}, ${mode}`,
  tolerance: { each: 1e-6, largest: 2e-7 },
  programs: SHAPES.map(([N, H, D]) => ({
    what: `N ${N}, H ${H}, D ${D}`,
    run: (lab) => {
      const angles = Float32Array.from({ length: (P * D) / 2 }, (_, i) => Math.floor(i / (D / 2)) * 10_000 ** (-(i % (D / 2)) / (D / 2)));
      const cos = lab.values(angles.map(Math.cos), [P, D / 2]);
      const sin = lab.values(angles.map(Math.sin), [P, D / 2]);
      const positions = lab.integers(Array.from({ length: N }, () => lab.random.below(P)));
      const x = lab.normal([N, H, D]);
      const args = { x, positions, cos, sin, inverse };
      if (mode === 'in place') lab.backend.rotary({ ...args, out: lab.changes('out', x) });
      else if (mode === 'accumulate') lab.backend.rotary({ ...args, out: lab.sum('out', [N, H, D]), accumulate: true });
      else lab.backend.rotary({ ...args, out: lab.result('out', [N, H, D]) });
    },
  })),
}));
