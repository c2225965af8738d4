/**
 * A tensor is a shape and a dtype over a piece of a backend's memory. It is always contiguous and row-major.
 * It owns nothing unless it was made by `Tensor.allocate`: arena tensors end with their step, views with their base.
 */
import type { Arena } from './arena.ts';
import type { Backend } from './backend.ts';
import { LifetimeError, ShapeError } from './errors.ts';

/**
 * `f32`, `i32`: plain little-endian numbers.
 * `q8`, `q4`: a matrix (rows, columns) of weights in blocks of 32 along the columns, one f32 scale a block; 8 or 4 bits
 * a weight. Their byte layout belongs to the backend: only `quantize`, `dequantize`, `matmulQuantized` and `embedding` read them.
 */
export type DType = 'f32' | 'i32' | 'q8' | 'q4';
export type Shape = readonly number[];

/** Backend memory. Backends extend it with an address or an array; `alive` turns false when it is released. */
export interface Storage {
  readonly bytes: number;
  readonly alive: boolean;
}

/** What bounds a tensor's life: `alive` turns false when its storage is released or its arena moves to the next step. */
export interface Lifetime {
  readonly alive: boolean;
}

export class Tensor implements Disposable {
  readonly backend: Backend;
  readonly shape: Shape;
  readonly dtype: DType;
  readonly storage: Storage;
  /** Where the tensor starts in its storage, in bytes. */
  readonly byteOffset: number;
  readonly #lifetime: Lifetime;
  readonly #owns: boolean;
  #requiresGrad = false;
  #grad: Tensor | null = null;
  /** A view's gradient is the same view of its base's gradient. */
  #base: { readonly tensor: Tensor; readonly project: (grad: Tensor) => Tensor } | null = null;

  constructor(
    backend: Backend,
    place: { storage: Storage; byteOffset?: number; lifetime?: Lifetime; owns?: boolean },
    shape: Shape,
    dtype: DType = 'f32',
  ) {
    checkShape(shape);
    this.backend = backend;
    this.shape = shape;
    this.dtype = dtype;
    this.storage = place.storage;
    this.byteOffset = place.byteOffset ?? 0;
    this.#lifetime = place.lifetime ?? place.storage;
    this.#owns = place.owns ?? false;
  }

  /** A tensor with memory of its own, zero-filled; free it with `using` or `dispose()`. */
  static allocate(backend: Backend, shape: Shape, dtype: DType = 'f32'): Tensor {
    checkShape(shape); // before there is memory that nobody would own
    const storage = backend.allocate(backend.byteLength(shape, dtype));
    return new Tensor(backend, { storage, owns: true }, shape, dtype);
  }

  /** `allocate` and `write` in one. */
  static from(backend: Backend, data: Float32Array | Int32Array, shape: Shape = [data.length]): Tensor {
    const tensor = Tensor.allocate(backend, shape, data instanceof Int32Array ? 'i32' : 'f32');
    tensor.write(data);
    return tensor;
  }

  /** Number of elements. */
  get size(): number {
    return this.shape.reduce((product, extent) => product * extent, 1);
  }

  get alive(): boolean {
    return this.#lifetime.alive;
  }

  /** Whether gradients are computed for this tensor: set on parameters, and by the tape on what is computed from them. */
  get requiresGrad(): boolean {
    return this.#base === null ? this.#requiresGrad : this.#base.tensor.requiresGrad;
  }

  set requiresGrad(value: boolean) {
    if (this.#base !== null) throw new ShapeError('a view has its base\'s gradient: set requiresGrad on the base');
    if (value && this.dtype !== 'f32') {
      throw new ShapeError(`gradients are f32: a ${this.dtype} tensor cannot require one, load the model in f32 to train it`);
    }
    this.#requiresGrad = value;
  }

  /** The gradient, same shape, f32: null until the tape has reached this tensor. */
  get grad(): Tensor | null {
    if (this.#base === null) return this.#grad;
    const grad = this.#base.tensor.grad;
    return grad === null ? null : this.#base.project(grad);
  }

  /**
   * The gradient to add to; undefined where none is required. Zero-filled on first use: with memory of its own for a tensor
   * that owns memory (a parameter keeps its gradient between steps), from the arena for all others.
   */
  gradient(arena: Arena): Tensor | undefined {
    if (this.#base !== null) {
      const grad = this.#base.tensor.gradient(arena);
      return grad && this.#base.project(grad);
    }
    if (!this.#requiresGrad) return undefined;
    if (this.#grad === null) {
      this.#grad = this.#owns ? Tensor.allocate(this.backend, this.shape) : arena.tensor(this.shape);
      if (!this.#owns) this.backend.fill(this.#grad, 0);
    }
    return this.#grad;
  }

  /** For an operation whose backward pass writes the gradient over the values: from here on this tensor holds its own gradient. */
  becomeGradient(): void {
    if (this.#base !== null || this.#grad !== null) throw new ShapeError('only a tensor with no other use can give its memory to its gradient');
    this.#grad = new Tensor(this.backend, { storage: this.storage, byteOffset: this.byteOffset, lifetime: this.#lifetime }, this.shape);
  }

  /** The extent of one axis; negative counts from the end. */
  dim(axis: number): number {
    const extent = this.shape.at(axis);
    if (extent === undefined) throw new ShapeError(`shape [${this.shape.join(', ')}] has no axis ${axis}`);
    return extent;
  }

  /** The same memory under another shape of as many elements. */
  reshape(...shape: number[]): Tensor {
    const size = shape.reduce((product, extent) => product * extent, 1);
    if (size !== this.size) {
      throw new ShapeError(`[${this.shape.join(', ')}] has ${this.size} elements, [${shape.join(', ')}] has ${size}: sizes must agree`);
    }
    return this.#view(shape, this.byteOffset, (grad) => grad.reshape(...shape));
  }

  /** Rows `start` to `end` (exclusive) of the first axis: the same memory. Not for quantized tensors. */
  rows(start: number, end: number): Tensor {
    const [count = 0, ...rest] = this.shape;
    if (start < 0 || end > count || start > end) {
      throw new ShapeError(`rows ${start} to ${end} are outside [${this.shape.join(', ')}]`);
    }
    if (this.dtype !== 'f32' && this.dtype !== 'i32') {
      throw new ShapeError(`rows of a ${this.dtype} tensor have no address of their own: dequantize it first`);
    }
    const rowSize = rest.reduce((product, extent) => product * extent, 1);
    return this.#view([end - start, ...rest], this.byteOffset + start * rowSize * 4, (grad) => grad.rows(start, end));
  }

  /** Upload. The array has exactly as many elements as the tensor. */
  write(data: Float32Array | Int32Array): void {
    this.assertAlive();
    if (data.length !== this.size) {
      throw new ShapeError(`${data.length} values do not fill [${this.shape.join(', ')}], which has ${this.size}`);
    }
    this.backend.write(this, data);
  }

  /** Download a copy of an f32 tensor. */
  async read(): Promise<Float32Array> {
    this.assertAlive();
    if (this.dtype !== 'f32') throw new ShapeError(`read() is for f32; this tensor is ${this.dtype}`);
    const out = new Float32Array(this.size);
    await this.backend.read(this, out);
    return out;
  }

  assertAlive(): void {
    if (!this.alive) {
      throw new LifetimeError(
        `a ${this.dtype} tensor [${this.shape.join(', ')}] is used after its scope or arena step ended: copy it out before`,
      );
    }
  }

  /** Frees memory the tensor owns, and its gradient's. Nothing happens to the memory of views and arena tensors. */
  dispose(): void {
    if (!this.#owns || !this.storage.alive) return;
    this.#grad?.dispose();
    this.#grad = null;
    this.backend.release(this.storage);
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  #view(shape: Shape, byteOffset: number, project: (grad: Tensor) => Tensor): Tensor {
    const view = new Tensor(this.backend, { storage: this.storage, byteOffset, lifetime: this.#lifetime }, shape, this.dtype);
    view.#base = { tensor: this, project };
    return view;
  }
}

/** Throws ShapeError unless every extent is a whole number from 0. */
export function checkShape(shape: Shape): void {
  for (const extent of shape) {
    if (!Number.isInteger(extent) || extent < 0) {
      throw new ShapeError(`shape [${shape.join(', ')}] has the extent ${extent}: extents are integers from 0`);
    }
  }
}
