/**
 * The thread pool: how one operation runs on all threads with no message and no allocation.
 *
 * The caller writes the operation, then publishes a TICKET, one 64-bit word: chunk count in the high half, next chunk in the
 * low half. Threads claim chunks by adding 1 to it. What a claim returns says both which chunk was claimed and whether there
 * was one, so a thread that comes late, even several operations late, either claims a chunk of the operation now running
 * (which then cannot end before that chunk does, so its arguments hold still) or learns that there is none.
 *
 * GENERATION counts operations only so that idle threads can wait for the next: they watch it for SPINS, then sleep on it.
 * The caller takes chunks like everyone, then waits in the same way for DONE to reach the count. All atomics are sequentially
 * consistent, so of a sleeper that announces itself and a waker that looks for sleepers, at least one sees the other.
 */
import { execute } from './dispatch';

// Each word that threads fight over has a cache line of its own. Page 0 up to --memoryBase (4096) is this file's.
const TICKET: usize = 64;
const GENERATION: usize = 128;
const DONE: usize = 192;
/** Pool threads asleep on GENERATION. */
const SLEEPERS: usize = 256;
/** 1 while the caller sleeps on DONE. */
const CALLER_SLEEPS: usize = 320;
const STOPPED: usize = 324;
const FAILED: usize = 328;
const OPERATION: usize = 384;
const THREADS: usize = 388;
const SCRATCH: usize = 392;

const ARGUMENTS: usize = 1024;
const ARGUMENT_WORDS: u32 = 256;
const SCRATCH_BYTES: usize = 2 << 20;

/**
 * Looks at a word before sleeping on it: some 25 µs, more than the gap between two parallel operations of a decoding step.
 * Waking a sleeper takes 5 to 10 µs. Spinning longer gains nothing, and where other programs want the cores it costs: a
 * spinning thread may sit on the core that the thread it waits for needs.
 */
const SPINS: u32 = 10000;

export function argumentsAddress(): usize {
  return ARGUMENTS;
}

export function argumentWords(): u32 {
  return ARGUMENT_WORDS;
}

export function scratchBytes(): usize {
  return SCRATCH_BYTES;
}

export function heapBase(): usize {
  return __heap_base;
}

export function initialize(threads: u32, scratch: usize): void {
  store<u32>(THREADS, threads);
  store<usize>(SCRATCH, scratch);
}

export function run(operation: u32, chunks: u32): u32 {
  const scratch = load<usize>(SCRATCH);
  const threads = load<u32>(THREADS);
  if (chunks <= 1 || threads <= 1) {
    for (let chunk: u32 = 0; chunk < chunks; chunk++) execute(operation, ARGUMENTS, chunk, scratch);
    return 0;
  }
  atomic.store<u32>(DONE, 0);
  store<u32>(OPERATION, operation);
  atomic.store<u64>(TICKET, (<u64>chunks) << 32);
  atomic.add<u32>(GENERATION, 1);
  if (atomic.load<u32>(SLEEPERS) != 0) atomic.notify(GENERATION, min(threads, chunks) - 1);
  drain(scratch);
  return awaitDone(chunks);
}

/** Runs chunks until none is left to claim. */
export function drain(scratch: usize): void {
  // The look before the claim keeps the low half from running away: it passes the count by at most the number of threads.
  while (hasChunks(atomic.load<u64>(TICKET))) {
    const claim = atomic.add<u64>(TICKET, 1);
    if (!hasChunks(claim)) return;
    execute(load<u32>(OPERATION), ARGUMENTS, <u32>claim, scratch);
    const done = atomic.add<u32>(DONE, 1) + 1;
    if (done == <u32>(claim >> 32) && atomic.load<u32>(CALLER_SLEEPS) != 0) atomic.notify(DONE, 1);
  }
}

// @ts-ignore: decorator
@inline
function hasChunks(ticket: u64): bool {
  return <u32>ticket < <u32>(ticket >> 32);
}

/** 0 once all chunks are done, 1 when a thread has failed. */
export function awaitDone(chunks: u32): u32 {
  for (let spin: u32 = 0; spin < SPINS; spin++) {
    if (atomic.load<u32>(DONE) == chunks) return 0;
  }
  atomic.store<u32>(CALLER_SLEEPS, 1);
  let failed: u32 = 0;
  while (true) {
    const done = atomic.load<u32>(DONE);
    if (done == chunks) break;
    failed = atomic.load<u32>(FAILED);
    if (failed != 0) break;
    // Only the last chunk and a failure notify. A chunk done since the look above makes this return at once; the limit of
    // 10 ms is for a failure that happened since.
    atomic.wait<i32>(DONE, done, 10_000_000);
  }
  atomic.store<u32>(CALLER_SLEEPS, 0);
  return failed;
}

export function workerMain(thread: u32): void {
  const scratch = load<usize>(SCRATCH) + thread * SCRATCH_BYTES;
  // A thread that starts late first looks for chunks, then waits for the operation after the one it knows of.
  let generation = atomic.load<u32>(GENERATION);
  while (atomic.load<u32>(STOPPED) == 0) {
    drain(scratch);
    generation = awaitGeneration(generation);
  }
}

/** Returns the generation once it is another than `seen`. */
export function awaitGeneration(seen: u32): u32 {
  for (let spin: u32 = 0; spin < SPINS; spin++) {
    const generation = atomic.load<u32>(GENERATION);
    if (generation != seen) return generation;
  }
  atomic.add<u32>(SLEEPERS, 1);
  while (atomic.load<u32>(GENERATION) == seen) atomic.wait<i32>(GENERATION, seen, -1);
  atomic.sub<u32>(SLEEPERS, 1);
  return atomic.load<u32>(GENERATION);
}

export function stop(): void {
  atomic.store<u32>(STOPPED, 1);
  atomic.add<u32>(GENERATION, 1);
  atomic.notify(GENERATION, -1);
}

export function fail(): void {
  atomic.store<u32>(FAILED, 1);
  atomic.notify(DONE, 1);
}
