import { describe, expect, test } from 'vitest';
import { LifetimeError, MemoryLimitError } from '../../errors.ts';
import { Random } from '../../random.ts';
import { ALIGNMENT, Allocator } from './allocator.ts';

const STEP = 4096;

function makeAllocator(limit = 1 << 20, start = 100): { allocator: Allocator; grown: () => number } {
  let grown = start;
  const allocator = new Allocator({
    start,
    limit,
    holder: 'the test',
    grow(end) {
      grown = Math.max(grown, Math.min(Math.ceil(end / STEP) * STEP, limit));
      return grown;
    },
  });
  return { allocator, grown: () => grown };
}

describe('allocator', () => {
  for (const seed of [1, 2, 3]) {
    test(`2000 random allocations are aligned, inside, never overlap, and all come back (seed ${seed})`, () => {
      const { allocator, grown } = makeAllocator();
      const random = new Random(seed);
      const live = new Map<number, number>();
      /** The address, or null when the limit is reached. */
      const tryAllocate = (bytes: number): number | null => {
        try {
          return allocator.allocate(bytes);
        } catch (error) {
          if (error instanceof MemoryLimitError) return null;
          throw error;
        }
      };
      const faults: string[] = [];
      for (let i = 0; i < 2000; i++) {
        if (live.size > 0 && random.uniform() < 0.48) {
          const address = [...live.keys()][random.below(live.size)]!;
          live.delete(address);
          allocator.release(address);
          continue;
        }
        const bytes = 1 + Math.floor(2 ** (random.uniform() * 14));
        const address = tryAllocate(bytes);
        if (address === null) continue;
        const end = address + bytes;
        if (address % ALIGNMENT !== 0) faults.push(`${address} is not aligned`);
        if (address < 100 || end > grown()) faults.push(`${address} to ${end} is outside`);
        if ([...live].some(([other, size]) => address < other + size && other < end)) faults.push(`${address} to ${end} overlaps`);
        live.set(address, bytes);
      }
      expect(faults).toEqual([]);
      expect(allocator.allocations).toBe(live.size);
      for (const address of live.keys()) allocator.release(address);
      expect(allocator.usedBytes).toBe(0);
      // Everything merged: one allocation of the whole range fits.
      expect(allocator.allocate(allocator.limitBytes)).toBe(128);
    });
  }

  test('the smallest hole that fits is taken', () => {
    const { allocator } = makeAllocator();
    const [large, , small] = [1024, 64, 256, 64].map((bytes) => allocator.allocate(bytes));
    allocator.release(large!);
    allocator.release(small!);
    expect(allocator.allocate(200)).toBe(small);
  });

  test('a release of what is not there is a LifetimeError', () => {
    const { allocator } = makeAllocator();
    const address = allocator.allocate(64);
    allocator.release(address);
    expect(() => allocator.release(address)).toThrow(LifetimeError);
    expect(() => allocator.release(12345)).toThrow(LifetimeError);
  });

  test('when memory does not grow nothing changes, and when it does later, it is used', () => {
    let allowed = false;
    const allocator = new Allocator({ start: 0, limit: 1 << 30, holder: 'the test', grow: (end) => (allowed || end === 0 ? end : null) });
    expect(() => allocator.allocate(5000)).toThrow(/needs 4\.9 KiB with 0 B in use; 1\.0 GiB is the limit: that is what the test holds/);
    expect([allocator.allocations, allocator.usedBytes, allocator.peakBytes]).toEqual([0, 0, 0]);
    allowed = true;
    expect(allocator.allocate(5000)).toBe(0);
    expect(allocator.allocate(1)).toBe(5056);
  });

  test('a free range at the end is the beginning of what grows', () => {
    const { allocator, grown } = makeAllocator(1 << 20, 0);
    allocator.release(allocator.allocate(STEP));
    expect(allocator.allocate(2 * STEP)).toBe(0);
    expect(grown()).toBe(2 * STEP);
  });
});
