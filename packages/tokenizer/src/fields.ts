/**
 * Reading JSON that others wrote, strictly: every read names the field, and a field nobody asked for is an error.
 * What a tokenizer file says and Parley does not know would otherwise change the tokens in silence.
 */
import { TokenizerFormatError } from './errors.ts';

/** Parts within parts: a path longer than this is no tokenizer's. */
const LONGEST_PATH = 1000;

export class Fields {
  readonly path: string;
  readonly #values: Readonly<Record<string, unknown>>;
  readonly #read = new Set<string>();

  constructor(value: unknown, path: string) {
    if (path.length > LONGEST_PATH) throw new TokenizerFormatError(`${path.slice(0, 80)}…`, 'lies deeper than any tokenizer goes: the file is damaged');
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      throw new TokenizerFormatError(path, `is ${describe(value)}: expected an object`);
    }
    this.path = path;
    this.#values = value as Record<string, unknown>;
  }

  at(name: string): string {
    return this.path === '' ? name : `${this.path}.${name}`;
  }

  get(name: string): unknown {
    this.#read.add(name);
    return this.#values[name];
  }

  /** Marks fields as known that change nothing about the tokens. */
  skip(...names: string[]): void {
    for (const name of names) this.#read.add(name);
  }

  /** Absent and null are the fallback; any other type is an error. */
  boolean(name: string, fallback: boolean): boolean {
    const value = this.get(name) ?? fallback;
    if (typeof value !== 'boolean') this.refuse(name, 'expected true or false');
    return value;
  }

  string(name: string, fallback?: string): string {
    const value = this.get(name) ?? fallback;
    if (typeof value !== 'string') this.refuse(name, 'expected a string');
    return value;
  }

  integer(name: string): number {
    const value = this.get(name);
    if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) this.refuse(name, 'expected a whole number from 0');
    return value;
  }

  array(name: string): readonly unknown[] {
    const value = this.get(name);
    if (!Array.isArray(value)) this.refuse(name, 'expected a list');
    return value;
  }

  object(name: string): Fields {
    return new Fields(this.get(name), this.at(name));
  }

  entries(): [string, unknown][] {
    return Object.entries(this.#values);
  }

  /** Refuses the value of one field, saying what it is. */
  refuse(name: string, remedy: string): never {
    throw new TokenizerFormatError(this.at(name), `is ${describe(this.#values[name])}: ${remedy}`);
  }

  /** To be called last: every field there is has been read. */
  finish(): void {
    const unknown = Object.keys(this.#values).find((name) => !this.#read.has(name));
    if (unknown !== undefined) {
      throw new TokenizerFormatError(this.at(unknown), `is a field Parley does not know, with the value ${describe(this.#values[unknown])}`);
    }
  }
}

/** A value for an error message: short, and its type where it is long. */
export function describe(value: unknown): string {
  if (value === undefined) return 'absent';
  if (Array.isArray(value)) return `a list of ${value.length}`;
  let text: string | undefined;
  try {
    text = JSON.stringify(value) as string | undefined;
  } catch {
    // Nested too deep to be written.
  }
  if (text === undefined) return typeof value;
  return text.length <= 80 ? text : `${text.slice(0, 77)}…`;
}
