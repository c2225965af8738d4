import { operations } from '@parley/kernels';
import { afterAll, describe, expect, test } from 'vitest';
import { EngineError, LifetimeError, MemoryLimitError } from '../../errors.ts';
import { nodePlatform } from '../../node/platform.ts';
import type { Platform } from '../../platform.ts';
import { Random } from '../../random.ts';
import { WasmRuntime, type WasmStorage } from './runtime.ts';

const module = await WebAssembly.compile(await nodePlatform.loadKernels('plain'));

async function makeRuntime(threads: number, platform: Platform = nodePlatform): Promise<WasmRuntime> {
  return WasmRuntime.create(module, { platform, variant: 'plain', threads });
}

function floatsOf(runtime: WasmRuntime, storage: WasmStorage): Float32Array {
  return new Float32Array(runtime.bytes.buffer, storage.address, storage.bytes / 4);
}

/** out = a + b over `size` elements, `grain` to a chunk. */
function add(runtime: WasmRuntime, [out, a, b]: readonly [number, number, number], { size, grain }: { size: number; grain: number }): void {
  const { words } = runtime;
  words[0] = out;
  words[1] = a;
  words[2] = b;
  words[3] = size;
  words[4] = grain;
  runtime.run(operations.add, Math.ceil(size / grain));
}

for (const threads of [2, 4, 7]) {
  describe(`pool of ${threads}`, async () => {
    const runtime = await makeRuntime(threads);
    afterAll(() => runtime.stop());

    test('50,000 tiny operations: every chunk runs once, with its own arguments', () => {
      // Adding in place counts how often a chunk ran. Each operation works on a place of its own in the counters, with
      // chunks of another size than the one before: a chunk run twice, not at all, or with other arguments shows.
      const size = 1024;
      const [counters, ones] = [runtime.allocate(size * 4), runtime.allocate(size * 4)];
      floatsOf(runtime, ones).fill(1);
      const expected = new Float32Array(size);
      const random = new Random(threads);
      for (let round = 0; round < 50_000; round++) {
        const start = 4 * random.below(200);
        const grain = 4 * (1 + random.below(4));
        const count = 1 + random.below(8 * grain);
        add(runtime, [counters.address + start * 4, counters.address + start * 4, ones.address], { size: count, grain });
        for (let i = start; i < start + count; i++) expected[i]! += 1;
      }
      expect(floatsOf(runtime, counters)).toEqual(expected);
      runtime.release(counters);
      runtime.release(ones);
    });

    test('pauses between operations, during which threads fall asleep, lose nothing', async () => {
      const size = 64;
      const [counters, ones] = [runtime.allocate(size * 4), runtime.allocate(size * 4)];
      floatsOf(runtime, ones).fill(1);
      for (let round = 1; round <= 200; round++) {
        // Some rounds find all threads spinning, some asleep, some on their way there.
        if (round % 3 === 0) await new Promise((resolve) => setImmediate(resolve));
        for (let i = 0; i < (round % 7) * 3000; i++) Math.sqrt(i);
        add(runtime, [counters.address, counters.address, ones.address], { size, grain: 4 });
        expect(floatsOf(runtime, counters).every((value) => value === round)).toBe(true);
      }
      runtime.release(counters);
      runtime.release(ones);
    });

    test('memory grown a moment ago is there for every thread, bulk copies included', () => {
      const stored: WasmStorage[] = [];
      for (let round = 0; round < 12; round++) {
        const bytes = 3 << 20;
        const [from, to] = [runtime.allocate(bytes), runtime.allocate(bytes)];
        stored.push(from, to);
        floatsOf(runtime, from).fill(round + 1);
        const { words } = runtime;
        words[0] = to.address;
        words[1] = from.address;
        words[2] = bytes;
        words[3] = 4096;
        runtime.run(operations.copy, bytes / 4096);
        expect(floatsOf(runtime, to).every((value) => value === round + 1)).toBe(true);
      }
      for (const one of stored) runtime.release(one);
    });
  });
}

test('addresses above 2 GiB work: a copy and a sum there', async () => {
  const runtime = await makeRuntime(2);
  try {
    // Reserved only: what is never touched takes no memory of the machine.
    const low = runtime.allocate(2.6 * 2 ** 30);
    const bytes = 1 << 16;
    const [a, b] = [runtime.allocate(bytes), runtime.allocate(bytes)];
    expect(a.address).toBeGreaterThan(2.5 * 2 ** 30);
    floatsOf(runtime, a).fill(3);
    add(runtime, [b.address, a.address, a.address], { size: bytes / 4, grain: 256 });
    expect(floatsOf(runtime, b).every((value) => value === 6)).toBe(true);
    expect(() => runtime.allocate(1.5 * 2 ** 30)).toThrow(MemoryLimitError);
    expect(() => runtime.allocate(5.2 * 2 ** 30)).toThrow(/needs 5\.2 GiB with 2\.6 GiB in use; 4\.0 GiB is the limit: that is what WebAssembly memory holds/);
    runtime.release(low);
  } finally {
    await runtime.stop();
  }
});

test('a kernel that fails on a pool thread or here is an error, not a wait for ever, and ends the backend', async () => {
  for (const threads of [1, 3]) {
    const runtime = await makeRuntime(threads);
    runtime.words.fill(0);
    runtime.words[2] = 0xffff_f000; // bytes to copy, far past the end of memory
    runtime.words[3] = 0xffff_f000 / 64;
    expect(() => runtime.run(operations.copy, 64)).toThrow(EngineError);
    expect(() => runtime.run(operations.empty, 1)).toThrow(/can no longer be used/);
    await runtime.stop();
  }
});

test('a kernel that fails on a pool thread alone reaches the caller', async () => {
  const runtime = await makeRuntime(2);
  const half = 8 << 20;
  const from = runtime.allocate(2 * half);
  // The first chunk fits into memory and takes a millisecond, the second does not: whoever is here takes the first.
  runtime.words.set([runtime.bytes.length - half, from.address, 2 * half, half]);
  expect(() => runtime.run(operations.copy, 2)).toThrow(/can no longer be used/);
  await runtime.stop();
});

test('after stop there is no more running or allocating, and threads are gone', async () => {
  const runtime = await makeRuntime(3);
  runtime.run(operations.empty, 10);
  await runtime.stop();
  expect(() => runtime.run(operations.empty, 1)).toThrow(LifetimeError);
  expect(() => runtime.allocate(64)).toThrow(LifetimeError);
});

test('thread counts that are none, and threads that do not start, are errors', async () => {
  for (const threads of [0, 1.5, 65, Number.NaN]) await expect(makeRuntime(threads)).rejects.toThrow(`threads is ${threads}`);
  const broken: Platform = {
    defaultThreads: 2,
    loadKernels: (variant) => nodePlatform.loadKernels(variant),
    spawn: (start) => (start.thread === 2 ? Promise.reject(new Error('no more threads')) : nodePlatform.spawn(start)),
  };
  await expect(makeRuntime(3, broken)).rejects.toThrow(/3 threads did not start/);
});

test('the workspace grows and is not counted', async () => {
  const runtime = await makeRuntime(1);
  const before = runtime.stats;
  const small = runtime.workspace(1000);
  expect(runtime.workspace(500)).toBe(small);
  const large = runtime.workspace(9 << 20);
  expect(runtime.bytes.length).toBeGreaterThan(large + (9 << 20));
  expect(runtime.stats).toEqual(before);
  // Its memory, once given back, is zeroed again for tensors.
  runtime.bytes.fill(1, large, large + (9 << 20));
  runtime.workspace(20 << 20);
  const storage = runtime.allocate(9 << 20);
  expect(floatsOf(runtime, storage).every((value) => value === 0)).toBe(true);
  await runtime.stop();
});
