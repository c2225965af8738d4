/**
 * A tensor is a shape and a dtype over a piece of a backend's memory. It is always contiguous and row-major.
 * It owns nothing unless it was made by `Tensor.allocate`: arena tensors end with their step, views with their base.
 */
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
  /** Whether gradients are computed for this tensor: set on parameters, and by the tape on what is computed from them. */
  requiresGrad = false;
  /** The gradient, same shape, f32. Persistent for parameters; from the step's arena for activations. */
  grad: Tensor | null = null;
  readonly #lifetime: Lifetime;
  readonly #owns: boolean;

  constructor(
    backend: Backend,
    place: { storage: Storage; byteOffset?: number; lifetime?: Lifetime; owns?: boolean },
    shape: Shape,
    dtype: DType = 'f32',
  ) {
    for (const extent of shape) {
      if (!Number.isInteger(extent) || extent < 0) {
        throw new ShapeError(`shape [${shape.join(', ')}] has the extent ${extent}: extents are integers from 0`);
      }
    }
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
    return this.#view(shape, this.byteOffset);
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
    return this.#view([end - start, ...rest], this.byteOffset + start * rowSize * 4);
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
    this.grad?.dispose();
    this.grad = null;
    this.backend.release(this.storage);
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  #view(shape: Shape, byteOffset: number): Tensor {
    const view = new Tensor(this.backend, { storage: this.storage, byteOffset, lifetime: this.#lifetime }, shape, this.dtype);
    return view;
  }
}
