/**
 * Hands out pieces of one growing address range: best fit, neighbours merged on release. Knows addresses only, not memory,
 * so that it can be tested by itself.
 */
import { LifetimeError, MemoryLimitError } from '../../errors.ts';

/** A cache line, which is also more than any vector wants. */
export const ALIGNMENT = 64;

interface Range {
  start: number;
  end: number;
}

export interface AllocatorOptions {
  /** The range's first address, and the one it may grow to, exclusive. */
  start: number;
  limit: number;
  /** Makes the addresses below `end` usable; returns the end that it reached (`end` or more), or null if there is no memory. */
  grow(end: number): number | null;
  /** Who limits, for the error: "WebAssembly memory". */
  holder: string;
}

export class Allocator {
  readonly #options: AllocatorOptions;
  /** Free ranges below #end by address, never adjacent. */
  readonly #free: Range[] = [];
  /** Live allocations by address. */
  readonly #live = new Map<number, { size: number; counted: boolean }>();
  /** End of the usable addresses. */
  #end: number;
  #count = 0;
  #used = 0;
  #peak = 0;

  constructor(options: AllocatorOptions) {
    this.#options = options;
    this.#end = roundUp(options.start);
    this.#reach(options.grow(this.#end) ?? this.#end);
  }

  get allocations(): number {
    return this.#count;
  }
  get usedBytes(): number {
    return this.#used;
  }
  get peakBytes(): number {
    return this.#peak;
  }
  get limitBytes(): number {
    return this.#options.limit - roundUp(this.#options.start);
  }

  /**
   * The address of `bytes` bytes. Throws MemoryLimitError, and then nothing has changed. What is not `counted` belongs to the
   * backend itself and appears in no statistic.
   */
  allocate(bytes: number, counted = true): number {
    const size = Math.max(roundUp(bytes), ALIGNMENT);
    let best = this.#bestFit(size);
    if (best === undefined) {
      this.#growFor(size, bytes);
      best = this.#bestFit(size);
      if (best === undefined) throw new Error(`allocator: grew for ${size} bytes and has no room for them`);
    }
    const range = this.#free[best]!;
    const address = range.start;
    range.start += size;
    if (range.start === range.end) this.#free.splice(best, 1);
    this.#live.set(address, { size, counted });
    if (counted) {
      this.#count++;
      this.#used += size;
      this.#peak = Math.max(this.#peak, this.#used);
    }
    return address;
  }

  /** Throws LifetimeError if nothing lives at the address. */
  release(address: number): void {
    const allocation = this.#live.get(address);
    if (allocation === undefined) throw new LifetimeError(`memory at address ${address} is released twice: release it once`);
    this.#live.delete(address);
    if (allocation.counted) {
      this.#count--;
      this.#used -= allocation.size;
    }
    this.#addFree({ start: address, end: address + allocation.size });
  }

  /** Index of the smallest free range that holds `size`. */
  #bestFit(size: number): number | undefined {
    let best: number | undefined;
    let bestSize = Infinity;
    for (let i = 0; i < this.#free.length; i++) {
      const range = this.#free[i]!;
      const rangeSize = range.end - range.start;
      if (rangeSize >= size && rangeSize < bestSize) {
        best = i;
        bestSize = rangeSize;
      }
    }
    return best;
  }

  #growFor(size: number, bytes: number): void {
    // A free range at the very end is the beginning of the new one.
    const last = this.#free.at(-1);
    const start = last !== undefined && last.end === this.#end ? last.start : this.#end;
    const reached = start + size <= this.#options.limit ? this.#options.grow(start + size) : null;
    if (reached === null) {
      throw new MemoryLimitError(
        'an allocation',
        { requestedBytes: bytes, usedBytes: this.#used, limitBytes: this.limitBytes },
        `that is what ${this.#options.holder} holds, so use a smaller batch or context, a smaller model, or q8 or q4 weights`,
      );
    }
    this.#reach(reached);
  }

  /** Only after the memory is there do its addresses become free. */
  #reach(end: number): void {
    const whole = Math.floor(Math.min(end, this.#options.limit) / ALIGNMENT) * ALIGNMENT;
    if (whole <= this.#end) return;
    this.#addFree({ start: this.#end, end: whole });
    this.#end = whole;
  }

  #addFree(range: Range): void {
    let low = 0;
    let high = this.#free.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#free[middle]!.start < range.start) low = middle + 1;
      else high = middle;
    }
    const before = this.#free[low - 1];
    const after = this.#free[low];
    const joinsBefore = before !== undefined && before.end === range.start;
    const joinsAfter = after !== undefined && after.start === range.end;
    if (joinsBefore && joinsAfter) {
      before.end = after.end;
      this.#free.splice(low, 1);
    } else if (joinsBefore) before.end = range.end;
    else if (joinsAfter) after.start = range.start;
    else this.#free.splice(low, 0, range);
  }
}

export function roundUp(bytes: number): number {
  return Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;
}
