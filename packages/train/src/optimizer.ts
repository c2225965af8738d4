/**
 * AdamW (Loshchilov & Hutter, 2019) over a model's parameters, with the gradient clipped to a global norm (Pascanu et al., 2013).
 * Matrices and tables decay; gains and biases do not.
 */
import { type Backend, Tensor } from '@parley/engine';
import type { Transformer } from '@parley/model';

export interface AdamWSettings {
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  readonly weightDecay: number;
  /** The norm gradients are scaled down to; Infinity: never. */
  readonly clip: number;
}

interface Slot {
  readonly parameter: Tensor;
  readonly decays: boolean;
  readonly m: Tensor;
  readonly v: Tensor;
}

export class AdamW implements Disposable {
  /** Steps taken. */
  step = 0;
  readonly #backend: Backend;
  readonly #settings: AdamWSettings;
  readonly #slots: ReadonlyMap<string, Slot>;
  /** One sum of squares a parameter, read back at once. */
  readonly #squares: Tensor;
  readonly #squaresHost: Float32Array;

  /** Allocates the moments and every parameter's gradient. */
  constructor(model: Transformer, settings: AdamWSettings) {
    this.#backend = model.backend;
    this.#settings = settings;
    const decays = new Set(model.parameterGroups.decay.map(([name]) => name));
    const slots = new Map<string, Slot>();
    for (const [name, parameter] of model.parameters) {
      slots.set(name, {
        parameter, decays: decays.has(name),
        m: Tensor.allocate(this.#backend, parameter.shape), v: Tensor.allocate(this.#backend, parameter.shape),
      });
    }
    this.#slots = slots;
    this.#squares = Tensor.allocate(this.#backend, [slots.size]);
    this.#squaresHost = new Float32Array(slots.size);
  }

  /** First and second moments by name: `m.NAME`, `v.NAME`. */
  get moments(): ReadonlyMap<string, Tensor> {
    const moments = new Map<string, Tensor>();
    for (const [name, slot] of this.#slots) moments.set(`m.${name}`, slot.m).set(`v.${name}`, slot.v);
    return moments;
  }

  /** The global norm of the gradients accumulated so far. */
  async gradientNorm(): Promise<number> {
    let index = 0;
    for (const { parameter } of this.#slots.values()) {
      const { grad } = parameter;
      const out = this.#squares.rows(index, index + 1);
      index++;
      if (grad === null) this.#backend.fill(out, 0);
      else this.#backend.sumSquares({ out, x: grad });
    }
    await this.#backend.read(this.#squares, this.#squaresHost);
    // Summed in float64, so that the order of the parameters is all it depends on.
    return Math.sqrt(this.#squaresHost.reduce((sum, square) => sum + square, 0));
  }

  /** One update from the accumulated gradients, whose norm is given; they are zero afterwards. */
  update(learningRate: number, gradientNorm: number): void {
    this.step++;
    const { beta1, beta2, epsilon, weightDecay, clip } = this.#settings;
    const gradientScale = gradientNorm > clip ? clip / gradientNorm : 1;
    for (const { parameter, decays, m, v } of this.#slots.values()) {
      const gradient = parameter.grad;
      if (gradient === null) continue;
      this.#backend.adamw({
        parameter, gradient, m, v, learningRate, beta1, beta2, epsilon, weightDecay: decays ? weightDecay : 0,
        step: this.step, gradientScale,
      });
      this.#backend.fill(gradient, 0);
    }
  }

  dispose(): void {
    for (const { m, v } of this.#slots.values()) {
      m.dispose();
      v.dispose();
    }
    this.#squares.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}
