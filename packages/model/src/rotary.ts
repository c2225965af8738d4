/**
 * Tables of rotary angles, as long as the positions that were asked for: a model made for 131,072 tokens that is asked for a
 * hundred does not fill 60 MB of cosines first.
 */
import { type Backend, Tensor } from '@parley/engine';
import { rotaryFrequencies, type RopeScaling } from './rope.ts';

/** Positions to begin with. */
const FIRST_POSITIONS = 4_096;

/** Bytes of a table when the model is loaded. */
export const rotaryBytes = (config: { readonly headSize: number; readonly contextLength: number }): number =>
  4 * Math.min(config.contextLength, FIRST_POSITIONS) * config.headSize;

interface Tables {
  readonly memory: Tensor;
  /** (positions, D/2) */
  readonly cos: Tensor;
  readonly sin: Tensor;
}

export class RotaryTables implements Disposable {
  readonly #backend: Backend;
  readonly #limit: number;
  readonly #frequencies: Float64Array;
  readonly #magnitude: number;
  /** The last is the longest. A tape may still hold those before. */
  readonly #tables: Tables[] = [];

  /** Throws MemoryLimitError. */
  constructor(
    backend: Backend,
    angles: { readonly headSize: number; readonly theta: number; readonly scaling?: RopeScaling | undefined; readonly contextLength: number },
  ) {
    this.#backend = backend;
    this.#limit = angles.contextLength;
    ({ frequencies: this.#frequencies, magnitude: this.#magnitude } = rotaryFrequencies(angles.headSize, angles.theta, angles.scaling));
    this.#make(Math.min(this.#limit, FIRST_POSITIONS));
  }

  /** cos and sin (positions, D/2), for positions from 0 to `last` at the least. Throws MemoryLimitError. */
  upTo(last: number): { readonly cos: Tensor; readonly sin: Tensor } {
    const longest = this.#tables.at(-1);
    if (longest && longest.cos.dim(0) > last) return longest;
    let positions = FIRST_POSITIONS;
    while (positions <= last) positions *= 2;
    return this.#make(Math.min(this.#limit, positions));
  }

  /** cos and sin of position · frequency, from angles in float64. */
  #make(positions: number): Tables {
    const half = this.#frequencies.length;
    const size = positions * half;
    const values = new Float32Array(2 * size);
    for (const [i, frequency] of this.#frequencies.entries()) {
      for (let position = 0; position < positions; position++) {
        values[position * half + i] = this.#magnitude * Math.cos(position * frequency);
        values[size + position * half + i] = this.#magnitude * Math.sin(position * frequency);
      }
    }
    const memory = Tensor.from(this.#backend, values, [2, positions, half]);
    const table = (index: number): Tensor => memory.rows(index, index + 1).reshape(positions, half);
    const tables = { memory, cos: table(0), sin: table(1) };
    this.#tables.push(tables);
    return tables;
  }

  dispose(): void {
    for (const { memory } of this.#tables) memory.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}
