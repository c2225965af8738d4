import type { Activation } from '../../backend.ts';
import { EXACT, type Tolerance } from '../compare.ts';
import type { Lab } from '../lab.ts';
import type { Tensor } from '../../tensor.ts';
import { type Case, product } from './case.ts';

const SIZES = [1, 3, 5, 7, 31, 33, 65, 1000, 70_001];
const KINDS: Activation[] = ['gelu', 'gelu_tanh', 'silu'];
/** What an exponential by polynomial gives in single precision. */
const TOLERANCE: Tolerance = { each: 2e-6, absolute: 5e-7 };
/** Gradients are added to numbers of order 1, and a derivative near 0 is a difference of such numbers. */
const BACKWARD: Tolerance = { each: 2e-6, absolute: 2e-6 };
const EXTREMES = [0, -0, 1e-30, -1e-30, 1e-6, 0.5, -0.5, 4, -4, 9, -9, 20, -20, 87, -87, 89, -89, 104, -104, 1e4, -1e4, 1e10, -1e10];

/** Ordinary numbers of deviation 3; from 31 elements on, extremes among them. */
function inputs(lab: Lab, size: number): Tensor {
  const values = lab.draw([size], 3);
  if (size >= 31) values.set(EXTREMES, 5);
  return lab.values(values, [size]);
}

/** Programs for every size, with `out` its own tensor and with `out` each of the inputs that it may be. */
function aliased(aliases: readonly string[], run: (lab: Lab, size: number, alias: string) => void): Case['programs'] {
  return product(SIZES, ['none', ...aliases]).map(([size, alias]) => ({
    what: `size ${size}, ${alias === 'none' ? 'separate' : `out is ${alias}`}`,
    run: (lab) => run(lab, size, alias),
  }));
}

export const elementwiseCases: Case[] = [
  {
    name: 'add, in place or not',
    tolerance: EXACT,
    programs: aliased(['a', 'b'], (lab, size, alias) => {
      const [a, b] = [lab.normal([size]), lab.normal([size])];
      const out = alias === 'a' ? lab.changes('out', a) : alias === 'b' ? lab.changes('out', b) : lab.result('out', [size]);
      lab.backend.add({ out, a, b });
    }),
  },
  {
    name: 'scale, in place or not',
    tolerance: { each: 2e-7 }, // the factor becomes single precision
    programs: aliased(['x'], (lab, size, alias) => {
      const x = lab.normal([size]);
      lab.backend.scale({ out: alias === 'x' ? lab.changes('out', x) : lab.result('out', [size]), x, factor: 1 / 3 });
    }),
  },
  ...KINDS.map((kind): Case => ({
    name: `activation ${kind}, in place or not`,
    tolerance: TOLERANCE,
    programs: aliased(['x'], (lab, size, alias) => {
      const x = inputs(lab, size);
      lab.backend.activation({ out: alias === 'x' ? lab.changes('out', x) : lab.result('out', [size]), x, kind });
    }),
  })),
  ...KINDS.map((kind): Case => ({
    name: `activationBackward ${kind}`,
    tolerance: BACKWARD,
    programs: SIZES.map((size) => ({
      what: `size ${size}`,
      run: (lab) => lab.backend.activationBackward({ dX: lab.sum('dX', [size]), dOut: lab.normal([size], 0.3), x: inputs(lab, size), kind }),
    })),
  })),
  ...KINDS.map((kind): Case => ({
    name: `gated ${kind}, in place or not`,
    tolerance: TOLERANCE,
    programs: aliased(['gate', 'up'], (lab, size, alias) => {
      const [gate, up] = [inputs(lab, size), lab.normal([size])];
      const out = alias === 'gate' ? lab.changes('out', gate) : alias === 'up' ? lab.changes('out', up) : lab.result('out', [size]);
      lab.backend.gated({ out, gate, up, kind });
    }),
  })),
  ...KINDS.map((kind): Case => ({
    name: `gatedBackward ${kind}: both gradients, and either alone`,
    tolerance: BACKWARD,
    programs: product(SIZES, [['dGate', 'dUp'], ['dGate'], ['dUp']]).map(([size, gradients]) => ({
      what: `size ${size}: ${gradients.join(', ')}`,
      run: (lab) => {
        const grads = Object.fromEntries(gradients.map((name) => [name, lab.sum(name, [size])]));
        const [gate, up, dOut] = [inputs(lab, size), lab.normal([size], 0.3), lab.normal([size], 0.3)];
        lab.backend.gatedBackward({ ...grads, dOut, gate, up, kind });
      },
    })),
  })),
];
