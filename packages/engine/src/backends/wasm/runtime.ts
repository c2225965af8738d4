/**
 * The kernels at work: one shared memory, one instance of the module here and one on each pool thread, and `run`.
 * Knows nothing of tensors' meanings; `backend.ts` and its neighbours write the arguments.
 */
import { type KernelExports, type KernelVariant, MAXIMUM_PAGES, operationsFingerprint, PAGE_BYTES } from '@parley/kernels';
import type { MemoryStats } from '../../backend.ts';
import { EngineError, LifetimeError } from '../../errors.ts';
import type { Platform, PoolThread } from '../../platform.ts';
import type { Storage, Tensor } from '../../tensor.ts';
import { Allocator, roundUp } from './allocator.ts';

const MAXIMUM_BYTES = MAXIMUM_PAGES * PAGE_BYTES;
const MOST_THREADS = 64;
/** Room to start with beside the threads' scratch memory. */
const INITIAL_BYTES = 4 << 20;
/** Memory grows by a quarter of itself, up to this, so that growing is rare. */
const LARGEST_STEP = 256 << 20;
/** The workspace grows to this much more than was asked for, so that growing is rare. */
const WORKSPACE_ROOM = 1.25;

export class WasmStorage implements Storage {
  readonly address: number;
  readonly bytes: number;
  alive = true;
  constructor(address: number, bytes: number) {
    this.address = address;
    this.bytes = bytes;
  }
}

/** The first byte of a tensor of the wasm backend. Unsigned, up to 2³². */
export function addressOf(tensor: Tensor): number {
  return (tensor.storage as WasmStorage).address + tensor.byteOffset;
}

/** `addressOf`, or 0, which is no tensor's address, for a tensor that is not there. */
export function addressOrZero(tensor: Tensor | undefined): number {
  return tensor === undefined ? 0 : addressOf(tensor);
}

export class WasmRuntime {
  readonly variant: KernelVariant;
  readonly threads: number;
  /** The argument block, as integers (addresses too) and as floats. */
  readonly words: Uint32Array;
  readonly floats: Float32Array;
  /** Bytes of scratch memory each kernel chunk may use. */
  readonly scratchBytes: number;
  readonly #memory: WebAssembly.Memory;
  readonly #allocator: Allocator;
  readonly #kernels: KernelExports;
  readonly #pool: PoolThread[] = [];
  #failure: Error | undefined;
  /** All memory as bytes, and end of what has ever been handed out: above it all is zeros still. */
  #bytes: Uint8Array;
  #touched: number;
  #workspace = { address: 0, bytes: 0 };

  private constructor(module: WebAssembly.Module, options: { variant: KernelVariant; threads: number }) {
    this.variant = options.variant;
    this.threads = options.threads;
    // The kernels say how much scratch memory they want, and need a memory to be asked.
    this.#memory = new WebAssembly.Memory({ initial: INITIAL_BYTES / PAGE_BYTES, maximum: MAXIMUM_PAGES, shared: true });
    this.#kernels = new WebAssembly.Instance(module, { env: { memory: this.#memory } }).exports as unknown as KernelExports;
    if ((this.#kernels.operationsFingerprint as (() => number) | undefined)?.() !== (operationsFingerprint | 0)) {
      throw new EngineError('the kernels are older or newer than this code: run "npm run build -w @parley/kernels"');
    }
    const buffer = this.#memory.buffer;
    this.words = new Uint32Array(buffer, this.#kernels.argumentsAddress(), this.#kernels.argumentWords());
    this.floats = new Float32Array(buffer, this.#kernels.argumentsAddress(), this.#kernels.argumentWords());
    this.scratchBytes = this.#kernels.scratchBytes();
    const scratch = roundUp(this.#kernels.heapBase());
    const start = scratch + this.scratchBytes * this.threads;
    this.#kernels.initialize(this.threads, scratch);
    this.#bytes = new Uint8Array(buffer);
    this.#touched = start;
    this.#allocator = new Allocator({
      start,
      limit: MAXIMUM_BYTES,
      grow: (end) => this.#grow(end),
      holder: 'WebAssembly memory',
    });
  }

  static async create(
    module: WebAssembly.Module,
    options: { platform: Platform; variant: KernelVariant; threads: number },
  ): Promise<WasmRuntime> {
    const { threads } = options;
    if (!Number.isInteger(threads) || threads < 1 || threads > MOST_THREADS) {
      throw new EngineError(`threads is ${threads}: pass a whole number from 1 to ${MOST_THREADS}`);
    }
    const runtime = new WasmRuntime(module, options);
    const starting = Array.from({ length: threads - 1 }, (_, i) =>
      options.platform.spawn({ module, memory: runtime.#memory, thread: i + 1 }),
    );
    const started = await Promise.allSettled(starting);
    for (const result of started) if (result.status === 'fulfilled') runtime.#pool.push(result.value);
    const failed = started.find((result) => result.status === 'rejected');
    if (failed !== undefined) {
      await runtime.stop();
      throw new EngineError(`the backend's ${threads} threads did not start: see the cause, or pass threads: 1`, { cause: failed.reason });
    }
    return runtime;
  }

  /** Runs the kernel `operations.name` over chunks 0…chunks−1, with the arguments in `words` and `floats`, and waits for it. */
  run(operation: number, chunks: number): void {
    if (this.#failure !== undefined) throw this.#failure;
    let status: number;
    try {
      status = this.#kernels.run(operation, chunks);
    } catch (cause) {
      // Other threads may be in the middle of this operation still: nothing can be trusted from here on.
      this.#failure = new EngineError(`kernel ${operation} failed, which is a defect: this backend can no longer be used`, { cause });
      throw this.#failure;
    }
    if (status !== 0) {
      this.#failure = new EngineError('a thread of the pool has failed: this backend can no longer be used, make another', {
        cause: this.#pool.find((thread) => thread.failure !== undefined)?.failure,
      });
      throw this.#failure;
    }
  }

  /**
   * At least `bytes` bytes that all threads share within one launch, at this address. Undefined contents: each call may return
   * the same memory, or, when it asks for more than before, other memory and the old is gone.
   */
  workspace(bytes: number): number {
    if (bytes > this.#workspace.bytes) {
      if (this.#workspace.bytes > 0) this.#allocator.release(this.#workspace.address);
      this.#workspace = { address: 0, bytes: 0 };
      const larger = Math.ceil(bytes * WORKSPACE_ROOM);
      const address = this.#allocator.allocate(larger, false);
      this.#workspace = { address, bytes: larger };
      this.#touched = Math.max(this.#touched, address + larger);
    }
    return this.#workspace.address;
  }

  /** Zero-filled memory for a tensor. */
  allocate(bytes: number): WasmStorage {
    if (this.#failure !== undefined) throw this.#failure;
    const address = this.#allocator.allocate(bytes);
    const end = address + bytes;
    if (address < this.#touched) this.bytes.fill(0, address, Math.min(end, this.#touched));
    this.#touched = Math.max(this.#touched, end);
    return new WasmStorage(address, bytes);
  }

  release(storage: WasmStorage): void {
    if (!storage.alive) throw new LifetimeError(`${storage.bytes} bytes of memory are released twice: release them once`);
    storage.alive = false;
    this.#allocator.release(storage.address);
  }

  /** All of the memory. Take it anew for each use: it is another array once memory has grown. */
  get bytes(): Uint8Array {
    return this.#bytes;
  }

  get stats(): MemoryStats {
    const { allocations, usedBytes, peakBytes, limitBytes } = this.#allocator;
    return { allocations, allocatedBytes: usedBytes, peakBytes, limitBytes };
  }

  /** Ends the pool; resolves once its threads are gone. Nothing runs afterwards. */
  async stop(): Promise<void> {
    this.#failure ??= new LifetimeError('this backend has been disposed: make a new one');
    this.#kernels.stop();
    await Promise.all(this.#pool.map((thread) => thread.join()));
    this.#pool.length = 0;
  }

  #grow(end: number): number | null {
    const current = this.#memory.buffer.byteLength;
    if (end > current) {
      const wanted = Math.min(Math.max(end, current + Math.min(current / 4, LARGEST_STEP)), MAXIMUM_BYTES);
      if (!this.#tryGrow(wanted) && !this.#tryGrow(end)) return null;
      this.#bytes = new Uint8Array(this.#memory.buffer);
    }
    return this.#memory.buffer.byteLength;
  }

  #tryGrow(end: number): boolean {
    try {
      this.#memory.grow(Math.ceil((end - this.#memory.buffer.byteLength) / PAGE_BYTES));
      return true;
    } catch {
      return false;
    }
  }
}
