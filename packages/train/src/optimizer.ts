/**
 * What turns gradients into steps: AdamW (Loshchilov & Hutter, 2019) for every parameter, or Muon for the hidden matrices and AdamW
 * for the rest, with the gradient clipped to a global norm (Pascanu et al., 2013). Matrices and tables decay; gains and biases do not.
 */
import { type Backend, Tensor } from '@parley/engine';
import { isHiddenMatrix, Muon } from './muon.ts';

export interface OptimizerSettings {
  readonly kind: 'adamw' | 'muon';
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  readonly weightDecay: number;
  /** The norm gradients are scaled down to; Infinity: never. */
  readonly clip: number;
  /** Muon's. */
  readonly momentum: number;
  /** Muon's learning rate, in units of the stage's. */
  readonly matrixRate: number;
}

/** Parameters that one rule updates. */
export interface ParameterGroup {
  /** What is kept between steps, by name. */
  readonly moments: ReadonlyMap<string, Tensor>;
  /** One update from the gradients times `gradientScale`, which are zero afterwards. `step` counts updates from 1. */
  update(learningRate: number, gradientScale: number, step: number): Promise<void> | void;
  dispose(): void;
}

export class Optimizer implements Disposable {
  /** Updates made. */
  step = 0;
  readonly #backend: Backend;
  readonly #settings: OptimizerSettings;
  readonly #parameters: readonly Tensor[];
  readonly #groups: readonly { readonly group: ParameterGroup; readonly rate: number }[];
  /** One sum of squares a parameter, read back at once. */
  readonly #squares: Tensor;
  readonly #squaresHost: Float32Array;

  /** For the parameters that require a gradient: allocates what is kept of them between steps. */
  constructor(model: { readonly backend: Backend; readonly parameters: ReadonlyMap<string, Tensor> }, settings: OptimizerSettings) {
    this.#backend = model.backend;
    this.#settings = settings;
    const trained = [...model.parameters].filter(([, parameter]) => parameter.requiresGrad);
    this.#parameters = trained.map(([, parameter]) => parameter);
    const byMuon = ([name, parameter]: readonly [string, Tensor]): boolean => settings.kind === 'muon' && isHiddenMatrix(name, parameter);
    const matrices = new Map(trained.filter(byMuon));
    this.#groups = [
      { group: new AdamW(model.backend, new Map(trained.filter((entry) => !byMuon(entry))), settings), rate: 1 },
      ...(matrices.size > 0 ? [{ group: new Muon(model.backend, matrices, settings), rate: settings.matrixRate }] : []),
    ];
    this.#squares = Tensor.allocate(model.backend, [trained.length]);
    this.#squaresHost = new Float32Array(trained.length);
  }

  /** `m.NAME` and `v.NAME`, AdamW's first and second moments; `momentum.NAME`, Muon's. */
  get moments(): ReadonlyMap<string, Tensor> {
    return new Map(this.#groups.flatMap(({ group }) => [...group.moments]));
  }

  /** The global norm of the gradients accumulated so far. */
  async gradientNorm(): Promise<number> {
    for (const [index, { grad }] of this.#parameters.entries()) {
      const out = this.#squares.rows(index, index + 1);
      if (grad === null) this.#backend.fill(out, 0);
      else this.#backend.sumSquares({ out, x: grad });
    }
    await this.#backend.read(this.#squares, this.#squaresHost);
    // Summed in float64, so that the order of the parameters is all it depends on.
    return Math.sqrt(this.#squaresHost.reduce((sum, square) => sum + square, 0));
  }

  /** One update from the accumulated gradients, whose norm is given; they are zero afterwards. */
  async update(learningRate: number, gradientNorm: number): Promise<void> {
    this.step++;
    const { clip } = this.#settings;
    const gradientScale = gradientNorm > clip ? clip / gradientNorm : 1;
    for (const { group, rate } of this.#groups) await group.update(learningRate * rate, gradientScale, this.step);
  }

  /** Forgets the accumulated gradients: no update, nothing remembered. */
  skip(): void {
    for (const { grad } of this.#parameters) if (grad !== null) this.#backend.fill(grad, 0);
  }

  dispose(): void {
    for (const { group } of this.#groups) group.dispose();
    this.#squares.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}

interface Slot {
  readonly parameter: Tensor;
  readonly m: Tensor;
  readonly v: Tensor;
}

class AdamW implements ParameterGroup {
  readonly #backend: Backend;
  readonly #settings: OptimizerSettings;
  readonly #slots: ReadonlyMap<string, Slot>;

  constructor(backend: Backend, parameters: ReadonlyMap<string, Tensor>, settings: OptimizerSettings) {
    this.#backend = backend;
    this.#settings = settings;
    this.#slots = new Map([...parameters].map(([name, parameter]) => [
      name, { parameter, m: Tensor.allocate(backend, parameter.shape), v: Tensor.allocate(backend, parameter.shape) },
    ]));
  }

  get moments(): ReadonlyMap<string, Tensor> {
    const moments = new Map<string, Tensor>();
    for (const [name, slot] of this.#slots) moments.set(`m.${name}`, slot.m).set(`v.${name}`, slot.v);
    return moments;
  }

  update(learningRate: number, gradientScale: number, step: number): void {
    const { beta1, beta2, epsilon, weightDecay } = this.#settings;
    for (const { parameter, m, v } of this.#slots.values()) {
      const gradient = parameter.grad;
      if (gradient === null) continue;
      this.#backend.adamw({
        parameter, gradient, m, v, learningRate, beta1, beta2, epsilon, weightDecay: parameter.shape.length > 1 ? weightDecay : 0,
        step, gradientScale,
      });
      this.#backend.fill(gradient, 0);
    }
  }

  dispose(): void {
    for (const { m, v } of this.#slots.values()) {
      m.dispose();
      v.dispose();
    }
  }
}
