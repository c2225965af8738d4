import type { Tolerance } from '../compare.ts';
import type { Lab } from '../lab.ts';
import { type Case, ODD, product } from './case.ts';

const SHAPES: [number, number][] = [...product([1, 3, 5], [...ODD, 64, 384]), [65, 33], [301, 128]]; // [N, C]
const TOLERANCE: Tolerance = { each: 2e-6, largest: 2e-6 };
const epsilon = 1e-5;

interface Input {
  readonly deviation?: number;
  readonly mean?: number;
}

function layerNorm(lab: Lab, [N, C]: [number, number], withBias: boolean, { deviation = 1, mean = 0 }: Input = {}): void {
  const args = { x: lab.normal([N, C], deviation, mean), weight: lab.normal([C], 0.3, 1), epsilon };
  const results = { out: lab.result('out', [N, C]), mean: lab.result('mean', [N]), rstd: lab.result('rstd', [N]) };
  lab.backend.layerNorm(withBias ? { ...results, ...args, bias: lab.normal([C]) } : { ...results, ...args });
}

type Gradient = 'dX' | 'dWeight' | 'dBias';
const LAYER_GRADIENTS: Gradient[][] = [['dX', 'dWeight', 'dBias'], ['dX'], ['dWeight'], ['dBias'], ['dX', 'dWeight']];
const RMS_GRADIENTS: ('dX' | 'dWeight')[][] = [['dX', 'dWeight'], ['dX'], ['dWeight']];

function layerNormBackward(lab: Lab, [N, C]: [number, number], gradients: readonly Gradient[]): void {
  const [x, weight] = [lab.normal([N, C]), lab.normal([C], 0.3, 1)];
  const [mean, rstd] = [lab.room([N]), lab.room([N])];
  lab.backend.layerNorm({ out: lab.room([N, C]), mean, rstd, x, weight, epsilon });
  const grads = Object.fromEntries(gradients.map((name) => [name, lab.sum(name, name === 'dX' ? [N, C] : [C])]));
  lab.backend.layerNormBackward({ ...grads, dOut: lab.normal([N, C]), x, weight, mean, rstd });
}

function rmsNorm(lab: Lab, [N, C]: [number, number], { deviation = 1, mean = 0 }: Input = {}): void {
  const [x, weight] = [lab.normal([N, C], deviation, mean), lab.normal([C], 0.3, 1)];
  lab.backend.rmsNorm({ out: lab.result('out', [N, C]), rstd: lab.result('rstd', [N]), x, weight, epsilon });
}

function rmsNormBackward(lab: Lab, [N, C]: [number, number], gradients: readonly ('dX' | 'dWeight')[]): void {
  const [x, weight, rstd] = [lab.normal([N, C]), lab.normal([C], 0.3, 1), lab.room([N])];
  lab.backend.rmsNorm({ out: lab.room([N, C]), rstd, x, weight, epsilon });
  const grads = Object.fromEntries(gradients.map((name) => [name, lab.sum(name, name === 'dX' ? [N, C] : [C])]));
  lab.backend.rmsNormBackward({ ...grads, dOut: lab.normal([N, C]), x, weight, rstd });
}

const show = ([N, C]: [number, number]): string => `N ${N}, C ${C}`;

export const normalizationCases: Case[] = [
  ...[true, false].map((withBias): Case => ({
    name: `layerNorm ${withBias ? 'with' : 'without'} bias`,
    tolerance: TOLERANCE,
    programs: SHAPES.map((shape) => ({ what: show(shape), run: (lab) => layerNorm(lab, shape, withBias) })),
  })),
  {
    name: 'layerNorm of rows far from zero, tiny, huge and constant',
    // The mean of numbers around 100 is off by some 1e-5 in single precision, beside a deviation of 1.
    tolerance: { largest: 3e-5 },
    programs: [{ mean: 100 }, { deviation: 1e-6 }, { deviation: 1e6 }, { deviation: 0 }, { deviation: 0, mean: 3 }].map((input) => ({
      what: JSON.stringify(input),
      run: (lab) => layerNorm(lab, [5, 96], true, input),
    })),
  },
  ...LAYER_GRADIENTS.map((gradients): Case => ({
    name: `layerNormBackward: ${gradients.join(', ')}`,
    tolerance: { each: 5e-6, largest: 5e-6 },
    programs: SHAPES.filter(([, C]) => C > 1).map((shape) => ({
      what: show(shape),
      run: (lab) => layerNormBackward(lab, shape, gradients),
    })),
  })),
  {
    name: 'rmsNorm',
    tolerance: TOLERANCE,
    programs: SHAPES.map((shape) => ({ what: show(shape), run: (lab) => rmsNorm(lab, shape) })),
  },
  {
    name: 'rmsNorm of rows far from zero, tiny, huge and zero',
    tolerance: TOLERANCE,
    programs: [{ mean: 1000 }, { deviation: 1e-6 }, { deviation: 1e6 }, { deviation: 0 }].map((input) => ({
      what: JSON.stringify(input),
      run: (lab) => rmsNorm(lab, [5, 96], input),
    })),
  },
  ...RMS_GRADIENTS.map((gradients): Case => ({
    name: `rmsNormBackward: ${gradients.join(', ')}`,
    tolerance: { each: 5e-6, largest: 5e-6 },
    programs: SHAPES.filter(([, C]) => C > 1).map((shape) => ({ what: show(shape), run: (lab) => rmsNormBackward(lab, shape, gradients) })),
  })),
];
