/** The reference backend's memory: one ArrayBuffer for every allocation, and the typed views that operations work on. */
import type { Backend, MemoryStats } from '../../backend.ts';
import { LifetimeError, MemoryLimitError, ShapeError } from '../../errors.ts';
import type { DType, Shape, Storage, Tensor } from '../../tensor.ts';

/** The one argument of an operation: `Args<'matmul'>`. */
export type Args<Operation extends keyof Backend> = Backend[Operation] extends (args: infer A) => void ? A : never;

/** Columns that share one scale in q8 and q4. */
export const BLOCK = 32;

export class ReferenceStorage implements Storage {
  readonly bytes: number;
  /** Null once released. */
  buffer: ArrayBuffer | null;

  constructor(buffer: ArrayBuffer) {
    this.bytes = buffer.byteLength;
    this.buffer = buffer;
  }

  get alive(): boolean {
    return this.buffer !== null;
  }
}

/** Where a tensor's bytes are. Unlike a fast backend, this one looks at every use whether the tensor is still alive. */
export function place(tensor: Tensor): { buffer: ArrayBuffer; byteOffset: number } {
  tensor.assertAlive();
  const { storage, byteOffset } = tensor;
  if (!(storage instanceof ReferenceStorage) || storage.buffer === null) {
    const [shape, owner] = [tensor.shape.join(', '), tensor.backend.name];
    throw new LifetimeError(`a tensor [${shape}] of backend ${owner} is not in the reference backend's memory: copy it over`);
  }
  return { buffer: storage.buffer, byteOffset };
}

/** The elements of an f32 tensor, row-major. */
export function floats(tensor: Tensor): Float32Array {
  const { buffer, byteOffset } = place(tensor);
  return new Float32Array(buffer, byteOffset, tensor.size);
}

/** The elements of an i32 tensor, row-major. */
export function integers(tensor: Tensor): Int32Array {
  const { buffer, byteOffset } = place(tensor);
  return new Int32Array(buffer, byteOffset, tensor.size);
}

/** Elements from one index of the first axis to the next: C of (N, C), K·D of (N, K, D). */
export function rowWidth(tensor: Tensor): number {
  return tensor.shape.slice(1).reduce((product, extent) => product * extent, 1);
}

/** Allocation with accounting and an optional limit. */
export class ReferenceMemory {
  readonly #limitBytes: number;
  #live = new Set<Storage>();
  #allocatedBytes = 0;
  #peakBytes = 0;

  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes;
  }

  byteLength(shape: Shape, dtype: DType): number {
    const size = shape.reduce((product, extent) => product * extent, 1);
    if (dtype === 'f32' || dtype === 'i32') return size * 4;
    const [, columns] = shape;
    if (shape.length !== 2 || columns === undefined || columns % BLOCK !== 0) {
      const needs = `${dtype} needs a matrix whose columns are a multiple of ${BLOCK}`;
      throw new ShapeError(`${needs}; [${shape.join(', ')}] is not: keep it in f32`);
    }
    return size + (size / BLOCK) * 4; // a byte a code, 4 bits used in q4, then the scales
  }

  allocate(bytes: number): Storage {
    const sizes = { requestedBytes: bytes, usedBytes: this.#allocatedBytes, limitBytes: this.#limitBytes };
    const remedy = 'free tensors, or use a smaller model, batch or context';
    if (this.#allocatedBytes + bytes > this.#limitBytes) throw new MemoryLimitError('an allocation', sizes, remedy);
    let storage: ReferenceStorage;
    try {
      storage = new ReferenceStorage(new ArrayBuffer(bytes));
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      throw new MemoryLimitError('an allocation', { ...sizes, limitBytes: this.#allocatedBytes }, remedy);
    }
    this.#live.add(storage);
    this.#allocatedBytes += bytes;
    this.#peakBytes = Math.max(this.#peakBytes, this.#allocatedBytes);
    return storage;
  }

  release(storage: Storage): void {
    if (!(storage instanceof ReferenceStorage) || !this.#live.delete(storage)) {
      const what = `storage of ${storage.bytes} bytes is released twice, or is not this backend's`;
      throw new LifetimeError(`${what}: release it once, where it was allocated`);
    }
    this.#allocatedBytes -= storage.bytes;
    storage.buffer = null;
  }

  releaseAll(): void {
    for (const storage of this.#live) this.release(storage);
  }

  stats(): MemoryStats {
    return {
      allocations: this.#live.size,
      allocatedBytes: this.#allocatedBytes,
      peakBytes: this.#peakBytes,
      limitBytes: this.#limitBytes,
    };
  }
}

export function write(tensor: Tensor, data: Float32Array | Int32Array): void {
  elementsLike(tensor, data).set(data);
}

export function read(tensor: Tensor, into: Float32Array | Int32Array): void {
  into.set(elementsLike(tensor, into));
}

function elementsLike(tensor: Tensor, array: Float32Array | Int32Array): Float32Array | Int32Array {
  const dtype = array instanceof Int32Array ? 'i32' : 'f32';
  if (tensor.dtype !== dtype || array.length !== tensor.size) {
    const shape = tensor.shape.join(', ');
    throw new ShapeError(`an array of ${array.length} ${dtype} values is not what a ${tensor.dtype} tensor [${shape}] holds`);
  }
  return dtype === 'i32' ? integers(tensor) : floats(tensor);
}
