/** Sums, activations and gated products, element by element. */
import type { Activation } from '../../backend.ts';
import { type Args, floats } from './memory.ts';
import { at } from './vectors.ts';

export function add({ out, a, b }: Args<'add'>): void {
  const [outValues, aValues, bValues] = [floats(out), floats(a), floats(b)];
  for (let i = 0; i < outValues.length; i++) outValues[i] = at(aValues, i) + at(bValues, i);
}

export function scale({ out, x, factor }: Args<'scale'>): void {
  const [outValues, xValues] = [floats(out), floats(x)];
  for (let i = 0; i < outValues.length; i++) outValues[i] = at(xValues, i) * factor;
}

export function activation({ out, x, kind }: Args<'activation'>): void {
  const [outValues, xValues] = [floats(out), floats(x)];
  const { value } = functions[kind];
  for (let i = 0; i < outValues.length; i++) outValues[i] = value(at(xValues, i));
}

/** dX += dOut · act′(x). */
export function activationBackward({ dX, dOut, x, kind }: Args<'activationBackward'>): void {
  const [dXValues, dOutValues, xValues] = [floats(dX), floats(dOut), floats(x)];
  const { derivative } = functions[kind];
  for (let i = 0; i < dXValues.length; i++) dXValues[i] = at(dXValues, i) + at(dOutValues, i) * derivative(at(xValues, i));
}

/** out = act(gate) · up: GEGLU, SwiGLU (Shazeer, 2020, arXiv:2002.05202). */
export function gated({ out, gate, up, kind }: Args<'gated'>): void {
  const [outValues, gates, ups] = [floats(out), floats(gate), floats(up)];
  const { value } = functions[kind];
  for (let i = 0; i < outValues.length; i++) outValues[i] = value(at(gates, i)) * at(ups, i);
}

/** dGate += dOut · up · act′(gate), dUp += dOut · act(gate). */
export function gatedBackward({ dGate, dUp, dOut, gate, up, kind }: Args<'gatedBackward'>): void {
  const [dOutValues, gates, ups] = [floats(dOut), floats(gate), floats(up)];
  const { value, derivative } = functions[kind];
  if (dGate) {
    const dGates = floats(dGate);
    for (let i = 0; i < dGates.length; i++) {
      dGates[i] = at(dGates, i) + at(dOutValues, i) * at(ups, i) * derivative(at(gates, i));
    }
  }
  if (dUp) {
    const dUps = floats(dUp);
    for (let i = 0; i < dUps.length; i++) dUps[i] = at(dUps, i) + at(dOutValues, i) * value(at(gates, i));
  }
}

interface Curve {
  readonly value: (x: number) => number;
  readonly derivative: (x: number) => number;
}

const functions: Record<Activation, Curve> = {
  /** GELU (Hendrycks & Gimpel, 2016, arXiv:1606.08415): x·Φ(x), whose derivative is Φ(x) + x·φ(x). */
  gelu: {
    value: (x) => x * normalCumulative(x),
    derivative: (x) => normalCumulative(x) + (x * Math.exp((-x * x) / 2)) / Math.sqrt(2 * Math.PI),
  },
  /** Its approximation in GPT-2: x/2·(1 + tanh(u)), u = √(2/π)·(x + 0.044715·x³). */
  gelu_tanh: {
    value: (x) => 0.5 * x * (1 + Math.tanh(geluInner(x))),
    derivative: (x) => {
      const t = Math.tanh(geluInner(x));
      return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * Math.sqrt(2 / Math.PI) * (1 + 3 * 0.044715 * x * x);
    },
  },
  /** SiLU, also called swish: x·σ(x), whose derivative is σ(x)·(1 + x·(1 − σ(x))). */
  silu: {
    value: (x) => x * sigmoid(x),
    derivative: (x) => sigmoid(x) * (1 + x * (1 - sigmoid(x))),
  },
};

function geluInner(x: number): number {
  return Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3);
}

function sigmoid(x: number): number {
  return 1 / (1 + Math.exp(-x));
}

/** Φ(x) = erfc(−x/√2) / 2, the standard normal distribution, to about 15 digits, relative in the lower tail too. */
export function normalCumulative(x: number): number {
  const z = Math.abs(x) / Math.SQRT2;
  const tail = z < 2.5 ? (1 - errorFunctionSeries(z)) / 2 : complementaryErrorFraction(z) / 2;
  return x < 0 ? tail : 1 - tail;
}

/** erf(z) = 2/√π · e^(−z²) · Σ 2ⁿ z^(2n+1) / (1·3·5···(2n+1)) (Abramowitz & Stegun, 7.1.6): positive terms, so nothing cancels. */
function errorFunctionSeries(z: number): number {
  let term = z;
  let sum = z;
  for (let n = 1; term > sum * 1e-17; n++) {
    term *= (2 * z * z) / (2 * n + 1);
    sum += term;
  }
  return (2 / Math.sqrt(Math.PI)) * Math.exp(-z * z) * sum;
}

/** erfc(z) = e^(−z²)/√π · 1/(z + (1/2)/(z + 1/(z + (3/2)/(z + …)))) (Abramowitz & Stegun, 7.1.14), from the 60th level out. */
function complementaryErrorFraction(z: number): number {
  let fraction = z;
  for (let n = 60; n >= 1; n--) fraction = z + n / 2 / fraction;
  return Math.exp(-z * z) / Math.sqrt(Math.PI) / fraction;
}
