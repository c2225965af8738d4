/**
 * Muon (Jordan et al., 2024): momentum, made orthogonal. A matrix's update is U·Vᵀ of its momentum U·S·Vᵀ, so that every direction
 * moves by as much as the few that dominate the gradient. It is for the matrices between the embedding and the head, whose rows
 * and columns are both hidden directions; tables, the head, gains and biases go on with AdamW.
 *
 * Newton–Schulz stands in for the decomposition: five times X ← aX + (bA + cA²)X with A = X·Xᵀ, from X of norm 1, takes singular
 * values from above about 0.01 to between 0.7 and 1.2. That is matrix products and little else, on whatever side is shorter.
 *
 * Updates are scaled by 0.2·√(longer side) (Liu et al., 2025), to the root mean square that AdamW's have in practice: so one
 * learning rate and one weight decay are those of both groups.
 */
import { type Backend, Tensor } from '@parley/engine';
import type { ParameterGroup } from './optimizer.ts';

export interface MuonSettings {
  /** Of the gradients' moving sum. Nesterov's form: the step is taken from where the next sum would begin. */
  readonly momentum: number;
  readonly weightDecay: number;
}

/** Coefficients of the quintic as published: the slope at 0 is as steep as convergence to about 1 allows. */
const [A, B, C] = [3.4445, -4.775, 2.0315];
/** Odd, so that the result ends up in the workspace. */
const ITERATIONS = 5;
/** What AdamW's updates come to, root mean square, in units of the learning rate. */
const UPDATE_RMS = 0.2;

/** Whether a parameter is one of the matrices that Muon is for. */
export const isHiddenMatrix = (name: string, parameter: Tensor): boolean => name.startsWith('model.layers.') && parameter.shape.length === 2;

interface Slot {
  readonly parameter: Tensor;
  readonly momentum: Tensor;
}

export class Muon implements ParameterGroup {
  readonly #backend: Backend;
  readonly #settings: MuonSettings;
  readonly #slots = new Map<string, Slot>();
  readonly #squares: Tensor;
  readonly #squaresHost: Float32Array;
  readonly #room: Workspace;

  constructor(backend: Backend, parameters: ReadonlyMap<string, Tensor>, settings: MuonSettings) {
    this.#backend = backend;
    this.#settings = settings;
    let largest = 0;
    let side = 0;
    for (const [name, parameter] of parameters) {
      this.#slots.set(name, { parameter, momentum: Tensor.allocate(backend, parameter.shape) });
      largest = Math.max(largest, parameter.size);
      side = Math.max(side, Math.min(...parameter.shape));
    }
    this.#squares = Tensor.allocate(backend, [Math.max(1, this.#slots.size)]);
    this.#squaresHost = new Float32Array(this.#squares.size);
    this.#room = new Workspace(backend, largest, side);
  }

  get moments(): ReadonlyMap<string, Tensor> {
    return new Map([...this.#slots].map(([name, { momentum }]) => [`momentum.${name}`, momentum]));
  }

  async update(learningRate: number, gradientScale: number): Promise<void> {
    const backend = this.#backend;
    const { momentum: beta, weightDecay } = this.#settings;
    let index = 0;
    for (const { parameter: { grad }, momentum } of this.#slots.values()) {
      const square = this.#squares.rows(index, index + 1);
      index++;
      if (grad === null) {
        backend.fill(square, 0);
        continue;
      }
      // momentum = β·momentum + g; the gradient's memory then holds g + β·momentum.
      const scaled = this.#room.like(grad);
      backend.scale({ out: grad, x: grad, factor: gradientScale });
      backend.scale({ out: momentum, x: momentum, factor: beta });
      backend.add({ out: momentum, a: momentum, b: grad });
      backend.scale({ out: scaled, x: momentum, factor: beta });
      backend.add({ out: grad, a: grad, b: scaled });
      backend.sumSquares({ out: square, x: grad });
    }
    await backend.read(this.#squares, this.#squaresHost);
    index = 0;
    for (const { parameter } of this.#slots.values()) {
      const norm = Math.sqrt(this.#squaresHost[index++] ?? 0);
      const { grad } = parameter;
      if (grad === null) continue;
      if (weightDecay > 0) backend.scale({ out: parameter, x: parameter, factor: 1 - learningRate * weightDecay });
      // A gradient of zeros has no direction: it stays zeros.
      if (norm > 0) {
        backend.scale({ out: grad, x: grad, factor: 1 / norm });
        const update = orthogonalize(backend, grad, this.#room);
        backend.scale({ out: update, x: update, factor: -learningRate * UPDATE_RMS * Math.sqrt(Math.max(...grad.shape)) });
        backend.add({ out: parameter, a: parameter, b: update });
      }
      backend.fill(grad, 0);
    }
  }

  dispose(): void {
    for (const { momentum } of this.#slots.values()) momentum.dispose();
    this.#squares.dispose();
    this.#room.dispose();
  }
}

/** Room for what Newton–Schulz computes on the way, of the largest matrix; it serves one after the other. */
export class Workspace implements Disposable {
  readonly #matrix: Tensor;
  readonly #squares: readonly [Tensor, Tensor];

  /** For matrices of at most `size` values, whose shorter side is at most `side`. */
  constructor(backend: Backend, size: number, side: number) {
    this.#matrix = Tensor.allocate(backend, [Math.max(1, size)]);
    this.#squares = [Tensor.allocate(backend, [Math.max(1, side * side)]), Tensor.allocate(backend, [Math.max(1, side * side)])];
  }

  /** In the shape of a matrix. */
  like(matrix: Tensor): Tensor {
    return part(this.#matrix, matrix.shape);
  }

  /** Two of n by n. */
  squares(n: number): readonly [Tensor, Tensor] {
    return [part(this.#squares[0], [n, n]), part(this.#squares[1], [n, n])];
  }

  dispose(): void {
    for (const tensor of [this.#matrix, ...this.#squares]) tensor.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}

const part = (room: Tensor, shape: readonly number[]): Tensor =>
  room.rows(0, shape.reduce((product, extent) => product * extent, 1)).reshape(...shape);

/**
 * Newton–Schulz from x (R, C) of Frobenius norm 1 or less. x is written over; the result lies in the workspace, until it is
 * used again.
 */
export function orthogonalize(backend: Backend, x: Tensor, room: Workspace): Tensor {
  const [rows, columns] = [x.dim(0), x.dim(1)];
  const tall = rows > columns;
  const side = Math.min(rows, columns);
  const [gram, gramSquared] = room.squares(side);
  let [from, to] = [x, room.like(x)];
  for (let i = 0; i < ITERATIONS; i++) {
    backend.matmul(tall ? { out: gram, a: from, b: from, transposeA: true } : { out: gram, a: from, b: from, transposeB: true });
    backend.matmul({ out: gramSquared, a: gram, b: gram });
    backend.scale({ out: gramSquared, x: gramSquared, factor: C });
    backend.scale({ out: gram, x: gram, factor: B });
    backend.add({ out: gram, a: gram, b: gramSquared });
    backend.scale({ out: to, x: from, factor: A });
    backend.matmul(tall ? { out: to, a: from, b: gram, accumulate: true } : { out: to, a: gram, b: from, accumulate: true });
    [from, to] = [to, from];
  }
  return from;
}
