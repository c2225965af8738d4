import { type Case, product } from './case.ts';

const SIZES = [1, 3, 5, 7, 31, 33, 65, 1000, 70_001];

export const optimizerCases: Case[] = [
  {
    name: 'sumSquares',
    tolerance: { each: 1e-6 },
    programs: product(SIZES, [1, 1e-4, 0]).map(([size, deviation]) => ({
      what: `size ${size}, deviation ${deviation}`,
      run: (lab) => lab.backend.sumSquares({ out: lab.result('out', [1]), x: lab.normal([size], deviation) }),
    })),
  },
  {
    name: 'adamw, three steps of changing gradients',
    tolerance: { each: 1e-6, absolute: 3e-8 },
    programs: product(SIZES, [0, 0.1]).map(([size, weightDecay]) => ({
      what: `size ${size}, weight decay ${weightDecay}`,
      run: (lab) => {
        const parameter = lab.changes('parameter', lab.normal([size], 0.02));
        const m = lab.changes('m', lab.normal([size], 0));
        const v = lab.changes('v', lab.normal([size], 0));
        for (let step = 1; step <= 3; step++) {
          lab.backend.adamw({
            parameter, gradient: lab.normal([size], 0.1), m, v,
            learningRate: 1e-3, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay, step, gradientScale: 0.7,
          });
        }
      },
    })),
  },
  {
    name: 'adamw late in training, and with gradients of zero',
    tolerance: { each: 1e-6, absolute: 3e-8 },
    programs: product([1, 100, 100_000], [0, 1e-3]).map(([step, deviation]) => ({
      what: `step ${step}, deviation ${deviation}`,
      run: (lab) => {
        const v = lab.values(lab.draw([33]).map((x) => 1e-6 * x * x));
        lab.backend.adamw({
          parameter: lab.changes('parameter', lab.normal([33], 0.02)), gradient: lab.normal([33], deviation),
          m: lab.changes('m', lab.normal([33], 1e-3)), v: lab.changes('v', v),
          learningRate: 6e-4, beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weightDecay: 0.1, step, gradientScale: 1,
        });
      },
    })),
  },
];
