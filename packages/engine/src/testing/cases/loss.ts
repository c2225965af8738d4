import type { Tolerance } from '../compare.ts';
import type { Lab } from '../lab.ts';
import type { Tensor } from '../../tensor.ts';
import { type Case, product } from './case.ts';

const SHAPES: [number, number][] = [ // [N, V]
  [1, 1], [1, 7], [3, 5], [5, 33], [7, 65], [33, 31], [2, 8192], [67, 300],
];
/** Of losses: a few ulp of logits that are some units large. */
const FORWARD: Tolerance = { each: 1e-6, absolute: 2e-6 };
const BACKWARD: Tolerance = { each: 4e-6, absolute: 1e-7 };

/** Every third row has no target, where `ignored` is given. */
function targets(lab: Lab, [N, V]: [number, number], ignored: number | null): Tensor {
  return lab.integers(Array.from({ length: N }, (_, n) => (ignored !== null && n % 3 === 1 ? ignored : lab.random.below(V))));
}

/** deviation 1e4: the softmax is one-hot, and any exponential not moved by the maximum overflows. */
function logitsFor(lab: Lab, shape: [number, number], deviation: number): Tensor {
  return lab.normal(shape, deviation);
}

interface BackwardOptions {
  readonly ignored: number;
  readonly deviation: number;
  readonly inPlace: boolean;
  readonly smoothing?: number;
  readonly zLoss?: number;
}

function backward(lab: Lab, shape: [number, number], options: BackwardOptions): void {
  const { ignored: ignoreIndex, deviation, inPlace, smoothing = 0, zLoss = 0 } = options;
  const [losses, logSumExp] = [lab.room([shape[0]]), lab.room([shape[0]])];
  const args = { logits: logitsFor(lab, shape, deviation), targets: targets(lab, shape, ignoreIndex), logSumExp, ignoreIndex };
  lab.backend.crossEntropy({ ...args, losses });
  const dLogits = inPlace ? lab.changes('dLogits', args.logits) : lab.result('dLogits', shape);
  lab.backend.crossEntropyBackward({ ...args, dLogits, scale: 0.25, smoothing, zLoss });
}

export const lossCases: Case[] = [
  {
    name: 'crossEntropy and its logSumExp',
    tolerance: FORWARD,
    programs: product(SHAPES, [1, 5, 0]).map(([shape, deviation]) => ({
      what: `N ${shape[0]}, V ${shape[1]}, deviation ${deviation}`,
      run: (lab) => {
        const results = { losses: lab.result('losses', [shape[0]]), logSumExp: lab.result('logSumExp', [shape[0]]) };
        const logits = logitsFor(lab, shape, deviation);
        lab.backend.crossEntropy({ ...results, logits, targets: targets(lab, shape, null), ignoreIndex: -100 });
      },
    })),
  },
  {
    name: 'crossEntropy with logits around 1e4',
    tolerance: { each: 1e-6, absolute: 4e-3 },
    programs: SHAPES.map((shape) => ({
      what: `N ${shape[0]}, V ${shape[1]}`,
      run: (lab) => {
        const results = { losses: lab.result('losses', [shape[0]]), logSumExp: lab.result('logSumExp', [shape[0]]) };
        const logits = logitsFor(lab, shape, 1e4);
        lab.backend.crossEntropy({ ...results, logits, targets: targets(lab, shape, null), ignoreIndex: -100 });
      },
    })),
  },
  {
    name: 'crossEntropy is 0 where the target is ignored',
    tolerance: FORWARD,
    programs: product(SHAPES, [-100, -1, 2]).map(([shape, ignoreIndex]) => ({
      what: `N ${shape[0]}, V ${shape[1]}, ignoreIndex ${ignoreIndex}`,
      run: (lab) => {
        const results = { losses: lab.result('losses', [shape[0]]), logSumExp: lab.room([shape[0]]) };
        lab.backend.crossEntropy({ ...results, logits: lab.normal(shape), targets: targets(lab, shape, ignoreIndex), ignoreIndex });
      },
    })),
  },
  ...[false, true].map((inPlace): Case => ({
    name: `crossEntropyBackward${inPlace ? ' over the logits' : ''}, some targets ignored`,
    tolerance: BACKWARD,
    programs: product(SHAPES, [1, 5, 0]).map(([shape, deviation]) => ({
      what: `N ${shape[0]}, V ${shape[1]}, deviation ${deviation}`,
      run: (lab) => backward(lab, shape, { ignored: -100, deviation, inPlace }),
    })),
  })),
  ...([['label smoothing', 0.1, 0], ['a z-loss', 0, 0.01], ['both', 0.2, 1e-4]] as const).map(([what, smoothing, zLoss]): Case => ({
    name: `crossEntropyBackward with ${what}`,
    tolerance: BACKWARD,
    programs: product(SHAPES, [1, 5, 0]).map(([shape, deviation]) => ({
      what: `N ${shape[0]}, V ${shape[1]}, deviation ${deviation}`,
      run: (lab) => backward(lab, shape, { ignored: -100, deviation, inPlace: shape[0] === 5, smoothing, zLoss }),
    })),
  })),
  {
    name: 'crossEntropyBackward with logits around 1e4',
    tolerance: { absolute: 1e-3 }, // logSumExp itself is exact to 1e-3 there
    programs: SHAPES.map((shape) => ({
      what: `N ${shape[0]}, V ${shape[1]}`,
      run: (lab) => backward(lab, shape, { ignored: -1, deviation: 1e4, inPlace: false }),
    })),
  },
];
