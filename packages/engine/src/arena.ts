/**
 * Memory for one step of work: tensors are handed out by moving a pointer, and all end together at `reset()`.
 * The first step finds out how much it takes; from the second on a step of the same shape allocates nothing.
 */
import type { Backend } from './backend.ts';
import { LifetimeError } from './errors.ts';
import { checkShape, type DType, type Lifetime, type Shape, type Storage, Tensor } from './tensor.ts';

/** Backends address vectors: every tensor starts on a cache line. */
const ALIGNMENT = 64;
const MINIMUM_BLOCK = 1 << 20;

export class Arena implements Disposable {
  readonly backend: Backend;
  #blocks: Storage[] = [];
  /** Block and byte in it where the next tensor goes. */
  #block = 0;
  #used = 0;
  #epoch: { alive: boolean } = { alive: true };
  #disposed = false;

  constructor(backend: Backend) {
    this.backend = backend;
  }

  /** Bytes held from the backend, used or not. */
  get bytes(): number {
    return this.#blocks.reduce((sum, block) => sum + block.bytes, 0);
  }

  /** An uninitialized tensor that lives until the next `reset()`. */
  tensor(shape: Shape, dtype: DType = 'f32'): Tensor {
    if (this.#disposed) throw new LifetimeError('this arena has been disposed: make a new one');
    checkShape(shape);
    const bytes = Math.ceil(this.backend.byteLength(shape, dtype) / ALIGNMENT) * ALIGNMENT;
    let block = this.#blocks[this.#block];
    while (block !== undefined && this.#used + bytes > block.bytes) {
      this.#block++;
      this.#used = 0;
      block = this.#blocks[this.#block];
    }
    if (block === undefined) {
      // Doubling keeps the number of blocks of a first step logarithmic in its size.
      block = this.backend.allocate(Math.max(bytes, MINIMUM_BLOCK, Math.min(this.bytes, 1 << 28)));
      this.#blocks.push(block);
    }
    const byteOffset = this.#used;
    this.#used += bytes;
    return new Tensor(this.backend, { storage: block, byteOffset, lifetime: this.#epoch satisfies Lifetime }, shape, dtype);
  }

  /** A tensor filled from an array. */
  from(data: Float32Array | Int32Array, shape: Shape = [data.length]): Tensor {
    const tensor = this.tensor(shape, data instanceof Int32Array ? 'i32' : 'f32');
    tensor.write(data);
    return tensor;
  }

  /**
   * Gives what `work` takes back to the step when it returns. Tensors made inside may be used only there: backends run operations
   * in order, so what is made next may lie in the same place.
   */
  temporarily(work: () => void): void {
    const [block, used] = [this.#block, this.#used];
    work();
    this.#block = block;
    this.#used = used;
  }

  /** Ends every tensor handed out so far; their memory serves the next step. */
  reset(): void {
    this.#epoch.alive = false;
    this.#epoch = { alive: true };
    this.#block = 0;
    this.#used = 0;
  }

  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#epoch.alive = false;
    for (const block of this.#blocks) this.backend.release(block);
    this.#blocks = [];
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}
