/**
 * Keys and values of tokens already seen, so that the next token costs one row. A cache has `slots` independent sequences of
 * up to `capacity` rows; slot s has the rows s·capacity to (s+1)·capacity of each layer's k and v (slots·capacity, K, D), f32,
 * which attention reads in place. How many of a slot's rows hold something is known to its user, who says so in `past`.
 */
import { type Backend, MemoryLimitError, Tensor } from '@parley/engine';
import type { TransformerConfig } from './config.ts';
import { BatchError, count } from './errors.ts';

export interface CacheOptions {
  /** Sequences held at the same time. */
  readonly slots: number;
  /** Rows (tokens) a slot can hold. */
  readonly capacity: number;
}

export class KeyValueCache implements Disposable {
  readonly slots: number;
  readonly capacity: number;
  /** One allocation for all layers. */
  readonly #memory: Tensor;
  readonly #layers: readonly { readonly k: Tensor; readonly v: Tensor }[];
  /** Values in one row: K · D. */
  readonly rowSize: number;

  /** Bytes such a cache takes. */
  static bytes(config: TransformerConfig, { slots, capacity }: CacheOptions): number {
    return 4 * 2 * config.layers * slots * capacity * config.keyValueHeads * config.headSize;
  }

  /** Throws MemoryLimitError when it does not fit, before allocating. */
  constructor(backend: Backend, config: TransformerConfig, options: CacheOptions) {
    const { slots, capacity } = options;
    for (const [name, value] of [['slots', slots], ['capacity', capacity]] as const) {
      if (Number.isSafeInteger(value) && value >= 1) continue;
      throw new BatchError(`a cache's ${name} is ${value}: it has to be a whole number from 1`);
    }
    this.slots = slots;
    this.capacity = capacity;
    this.rowSize = config.keyValueHeads * config.headSize;
    const requestedBytes = KeyValueCache.bytes(config, options);
    const { allocatedBytes: usedBytes, limitBytes } = backend.stats();
    if (usedBytes + requestedBytes > limitBytes) {
      throw new MemoryLimitError(
        `a key/value cache of ${count(slots)} × ${count(capacity)} tokens`,
        { requestedBytes, usedBytes, limitBytes },
        'lower the number of sequences at once or the context they may use',
      );
    }
    const rows = slots * capacity;
    this.#memory = Tensor.allocate(backend, [2 * config.layers, rows, config.keyValueHeads, config.headSize]);
    const rowShape = [config.keyValueHeads, config.headSize];
    const part = (index: number): Tensor => this.#memory.rows(index, index + 1).reshape(rows, ...rowShape);
    this.#layers = Array.from({ length: config.layers }, (_, layer) => ({ k: part(2 * layer), v: part(2 * layer + 1) }));
  }

  get bytes(): number {
    return 4 * this.#memory.size;
  }

  /** k and v (slots·capacity, K, D) of one layer. */
  layer(index: number): { readonly k: Tensor; readonly v: Tensor } {
    const layer = this.#layers[index];
    if (layer !== undefined) return layer;
    throw new BatchError(`the cache has ${this.#layers.length} layers and none numbered ${index}: it belongs to another model`);
  }

  get layers(): number {
    return this.#layers.length;
  }

  get alive(): boolean {
    return this.#memory.alive;
  }

  /** Copies the first `length` rows of slot `from` over those of slot `to`, in every layer: how a sequence forks. */
  copySlot(from: number, to: number, length: number): void {
    for (const slot of [from, to]) {
      if (!Number.isInteger(slot) || slot < 0 || slot >= this.slots) {
        throw new BatchError(`slot ${slot} does not exist in a cache of ${this.slots}: slots are numbered from 0`);
      }
    }
    if (!Number.isInteger(length) || length < 0 || length > this.capacity) {
      throw new BatchError(
        `${length} rows cannot be copied between slots of ${count(this.capacity)}: pass at most as many as the slot has`,
      );
    }
    this.copyRows(from * this.capacity, to * this.capacity, length);
  }

  /** Copies `length` rows from row `from` to row `to`, in every layer, slots or not. The two may overlap. */
  copyRows(from: number, to: number, length: number): void {
    const rows = this.slots * this.capacity;
    if (![from, to, length].every((value) => Number.isInteger(value) && value >= 0) || Math.max(from, to) + length > rows) {
      throw new BatchError(`${length} rows cannot be copied from row ${from} to row ${to} of a cache of ${count(rows)}: they have to lie within it`);
    }
    if (from === to || length === 0) return;
    // A backend copies between ranges that do not overlap: pieces no longer than the distance, the ones to be overwritten first.
    const piece = Math.min(length, Math.abs(to - from));
    for (let done = 0; done < length; done += piece) {
      const size = Math.min(piece, length - done);
      const at = to < from ? done : length - done - size;
      for (const { k, v } of this.#layers) {
        for (const part of [k, v]) {
          this.#memory.backend.copy({ out: part.rows(to + at, to + at + size), x: part.rows(from + at, from + at + size) });
        }
      }
    }
  }

  dispose(): void {
    this.#memory.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}
