/**
 * The native kernels at work: the addon's threads, the memory that tensors live in, and the block of arguments.
 * Knows nothing of tensors' meanings; `backend.ts` writes the arguments.
 */
import { type NativeAddon, NATIVE_ARGUMENTS, nativeFingerprint, type NativePool } from '@parley/kernels';
import type { MemoryStats } from '../../backend.ts';
import { EngineError, LifetimeError, MemoryLimitError } from '../../errors.ts';
import type { Storage, Tensor } from '../../tensor.ts';

const MOST_THREADS = 256;

/** Instruction sets that the kernels are compiled for, and what people call them. */
const INSTRUCTION_SETS = { avx512: 'AVX-512 VNNI', avxvnni: 'AVX2 with AVX-VNNI', avx2: 'AVX2', baseline: 'baseline' } as const;
export type InstructionSet = keyof typeof INSTRUCTION_SETS;

export class NativeStorage implements Storage {
  readonly address: number;
  readonly bytes: number;
  alive = true;
  constructor(address: number, bytes: number) {
    this.address = address;
    this.bytes = bytes;
  }
}

/** The first byte of a tensor of the native backend: addresses are numbers below 2^53. */
export function addressOf(tensor: Tensor): number {
  return (tensor.storage as NativeStorage).address + tensor.byteOffset;
}

/** `addressOf`, or 0, which is no tensor's address, for a tensor that is not there. */
export function addressOrZero(tensor: Tensor | undefined): number {
  return tensor === undefined ? 0 : addressOf(tensor);
}

export interface NativeRuntimeOptions {
  readonly threads: number;
  /** The best that the machine has, unless one is asked for. */
  readonly instructionSet: InstructionSet | 'auto';
  /** Bytes that tensors may take together. */
  readonly limitBytes: number;
}

export class NativeRuntime {
  readonly threads: number;
  /** What the kernels run on, for people. */
  readonly instructionSet: string;
  /** The argument block: addresses, whole numbers and floats alike. */
  readonly args = new Float64Array(NATIVE_ARGUMENTS);
  readonly #pool: NativePool;
  readonly #limitBytes: number;
  #failure: Error | undefined;
  #allocations = 0;
  #allocatedBytes = 0;
  #peakBytes = 0;

  /** Throws EngineError where the addon does not fit this code, the machine lacks the instruction set, or threads do not start. */
  constructor(addon: NativeAddon, { threads, instructionSet, limitBytes }: NativeRuntimeOptions) {
    if ((addon.fingerprint as number | undefined) !== nativeFingerprint) {
      throw new EngineError('the native kernels are older or newer than this code: run "npm run build -w @parley/kernels"');
    }
    if (!Number.isInteger(threads) || threads < 1 || threads > MOST_THREADS) {
      throw new EngineError(`threads is ${threads}: pass a whole number from 1 to ${MOST_THREADS}`);
    }
    const available = addon.instructionSets;
    const wanted = instructionSet === 'auto' ? (available[0] ?? 'baseline') : instructionSet;
    if (!available.includes(wanted)) {
      throw new EngineError(`this machine cannot run the ${wanted} kernels: pass ${available.map((name) => `"${name}"`).join(' or ')}`);
    }
    this.threads = threads;
    this.instructionSet = INSTRUCTION_SETS[wanted as InstructionSet];
    this.#limitBytes = limitBytes;
    try {
      this.#pool = addon.create(threads, wanted, this.args);
    } catch (cause) {
      throw new EngineError(`the backend's ${threads} threads did not start: see the cause, or pass threads: 1`, { cause });
    }
  }

  /** Runs the kernel `nativeOperations.name` with the arguments in `args`, and waits for it. */
  run(operation: number): void {
    if (this.#failure !== undefined) throw this.#failure;
    this.#pool.run(operation);
  }

  quantizedBytes(rows: number, columns: number, bits: number): number {
    return this.#pool.quantizedBytes(rows, columns, bits);
  }

  /** Zero-filled memory for a tensor. */
  allocate(bytes: number): NativeStorage {
    if (this.#failure !== undefined) throw this.#failure;
    // Also above the limit nothing is asked of the system, which would promise more than it has.
    const address = this.#allocatedBytes + bytes > this.#limitBytes ? 0 : this.#pool.allocate(bytes);
    if (address === 0) {
      throw new MemoryLimitError(
        'an allocation',
        { requestedBytes: bytes, usedBytes: this.#allocatedBytes, limitBytes: this.#limitBytes },
        'that is what this machine has, so use a smaller batch or context, a smaller model, or q8 or q4 weights',
      );
    }
    this.#allocations++;
    this.#allocatedBytes += bytes;
    this.#peakBytes = Math.max(this.#peakBytes, this.#allocatedBytes);
    return new NativeStorage(address, bytes);
  }

  release(storage: NativeStorage): void {
    if (!storage.alive) throw new LifetimeError(`${storage.bytes} bytes of memory are released twice: release them once`);
    storage.alive = false;
    this.#pool.release(storage.address);
    this.#allocations--;
    this.#allocatedBytes -= storage.bytes;
  }

  write(address: number, data: Float32Array | Int32Array): void {
    this.#pool.write(address, data);
  }

  read(address: number, into: Float32Array | Int32Array): void {
    this.#pool.read(address, into);
  }

  get stats(): MemoryStats {
    return {
      allocations: this.#allocations, allocatedBytes: this.#allocatedBytes, peakBytes: this.#peakBytes, limitBytes: this.#limitBytes,
    };
  }

  /** Ends the threads. Nothing runs afterwards. */
  stop(): void {
    this.#failure ??= new LifetimeError('this backend has been disposed: make a new one');
    this.#pool.stop();
  }
}
