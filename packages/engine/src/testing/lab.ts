/**
 * Where one operation is tried on one backend. Every tensor lies between guard words, at an odd place in its storage, and
 * memory that an operation must not read before writing holds NaN. So reading or writing a single element out of bounds,
 * adding where it should overwrite, or touching an input fails the test even where the numbers happen to be right.
 */
import type { Backend } from '../backend.ts';
import { Random } from '../random.ts';
import { type DType, type Shape, type Storage, Tensor } from '../tensor.ts';

/** As an f32 it is NaN, so a guard word that is read by mistake shows in every sum. */
const GUARD = 0x7fc0dead;
const GUARD_WORDS = 16;

/** Normal numbers, drawn once: the suite uses millions of them, from different places on. A prime length repeats in no shape. */
const NOISE = ((random) => Float64Array.from({ length: 10_007 }, () => random.normal()))(new Random(2024));

/** What an operation wrote, by name. Numbers of i32 tensors are stored as such; all others are f32. */
export type Results = ReadonlyMap<string, Float32Array>;

/** Uses the lab's backend once; the same seed gives the same inputs on every backend. */
export interface Program {
  /** Names the shapes in a failure: `M 3, N 5, K 7`. */
  readonly what: string;
  readonly run: (lab: Lab) => void;
}

interface Placed {
  readonly storage: Storage;
  readonly firstWord: number;
  readonly words: number;
  /** The bits an input must still have at the end. */
  unchanged: Int32Array | null;
}

export class Lab {
  readonly backend: Backend;
  readonly random: Random;
  readonly #placed = new Map<Tensor, Placed>();
  readonly #results = new Map<string, Tensor>();

  constructor(backend: Backend, seed: number) {
    this.backend = backend;
    this.random = new Random(seed);
  }

  // ---- inputs: the operation must leave them as they are ------------------------------------------------------

  values(data: Float32Array | Int32Array, shape: Shape = [data.length]): Tensor {
    const bits = new Int32Array(data.buffer, data.byteOffset, data.length).slice();
    const tensor = this.#place(shape, data instanceof Int32Array ? 'i32' : 'f32', bits);
    this.#of(tensor).unchanged = bits;
    return tensor;
  }

  integers(data: readonly number[], shape: Shape = [data.length]): Tensor {
    return this.values(Int32Array.from(data), shape);
  }

  /** Normal numbers of this deviation around `mean`. */
  normal(shape: Shape, deviation = 1, mean = 0): Tensor {
    return this.values(this.draw(shape, deviation, mean), shape);
  }

  draw(shape: Shape, deviation = 1, mean = 0): Float32Array {
    const values = new Float32Array(sizeOf(shape));
    const start = this.random.below(NOISE.length);
    for (let i = 0; i < values.length; i++) values[i] = mean + deviation * (NOISE[(start + i) % NOISE.length] ?? 0);
    return values;
  }

  /** A weight matrix in q8 or q4, made by the backend from normal numbers. */
  quantized(shape: Shape, dtype: 'q8' | 'q4', deviation = 1): Tensor {
    const out = this.room(shape, dtype);
    this.backend.quantize({ out, x: this.normal(shape, deviation) });
    return out;
  }

  // ---- outputs -------------------------------------------------------------------------------------------------

  /** A named result that the operation overwrites: it holds NaN before. */
  result(name: string, shape: Shape): Tensor {
    const tensor = this.room(shape);
    this.#results.set(name, tensor);
    return tensor;
  }

  /** A named result that the operation adds to: it holds normal numbers before. */
  sum(name: string, shape: Shape): Tensor {
    return this.changes(name, this.normal(shape));
  }

  /** Names an input that the operation may change. */
  changes(name: string, input: Tensor): Tensor {
    this.#of(input).unchanged = null;
    this.#results.set(name, input);
    return input;
  }

  /** Memory the operation writes and nobody compares. */
  room(shape: Shape, dtype: DType = 'f32'): Tensor {
    return this.#place(shape, dtype, null);
  }

  /** Reads the results, frees everything, and throws where a guard or an input was changed. */
  async finish(): Promise<Results> {
    const results = new Map<string, Float32Array>();
    const complaints: string[] = [];
    for (const [tensor, { storage, firstWord, words, unchanged }] of this.#placed) {
      const whole = new Tensor(this.backend, { storage }, [storage.bytes >> 2], 'i32');
      const bits = new Int32Array(whole.size);
      await this.backend.read(whole, bits);
      this.backend.release(storage);
      const name = [...this.#results].find(([, result]) => result === tensor)?.[0];
      const show = `${name ?? (unchanged ? 'an input' : 'a temporary')} ${tensor.dtype} [${tensor.shape.join(', ')}]`;
      const before = bits.subarray(0, firstWord).findLastIndex((word) => word !== GUARD);
      if (before >= 0) complaints.push(`${show}: written ${firstWord - before} words before its start`);
      const after = bits.subarray(firstWord + words).findIndex((word) => word !== GUARD);
      if (after >= 0) complaints.push(`${show}: written ${after + 1} words past its end`);
      const content = bits.slice(firstWord, firstWord + words);
      const changed = unchanged === null ? -1 : firstDifference(content, unchanged);
      if (changed >= 0) complaints.push(`${show}: element ${changed} was changed`);
      if (name !== undefined) results.set(name, new Float32Array(content.buffer));
    }
    if (complaints.length > 0) throw new Error(complaints.join('; '));
    return results;
  }

  #place(shape: Shape, dtype: DType, content: Int32Array | null): Tensor {
    const words = Math.ceil(this.backend.byteLength(shape, dtype) / 4);
    // Rows of f32 and i32 matrices start at any multiple of 4 bytes; quantized tensors start storages or arena slots.
    const plain = dtype === 'f32' || dtype === 'i32';
    const firstWord = GUARD_WORDS + (plain ? (this.#placed.size * 5) % 16 : 0);
    const storage = this.backend.allocate((firstWord + words + GUARD_WORDS) * 4);
    const bits = new Int32Array(storage.bytes >> 2).fill(GUARD);
    if (content) bits.set(content, firstWord);
    new Tensor(this.backend, { storage }, [bits.length], 'i32').write(bits);
    const tensor = new Tensor(this.backend, { storage, byteOffset: firstWord * 4 }, shape, dtype);
    this.#placed.set(tensor, { storage, firstWord, words, unchanged: null });
    return tensor;
  }

  #of(tensor: Tensor): Placed {
    const placed = this.#placed.get(tensor);
    if (!placed) throw new Error('this tensor is a view or of another lab: name the tensor that the lab made');
    return placed;
  }
}

export async function run(backend: Backend, program: Program, seed = 1): Promise<Results> {
  const lab = new Lab(backend, seed);
  program.run(lab);
  return lab.finish();
}

/** −1 where there is none. */
function firstDifference(a: Int32Array, b: Int32Array): number {
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return i;
  return -1;
}

export function sizeOf(shape: Shape): number {
  return shape.reduce((product, extent) => product * extent, 1);
}
