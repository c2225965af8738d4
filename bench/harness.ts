/**
 * What every benchmark shares: options, the clock, the median with its spread, and the JSON line that ends the output.
 * The machines are noisy, so a figure is the median of several repeats and never stands without its lowest and highest.
 */
import { cpus } from 'node:os';

export interface BenchOptions {
  readonly backend: 'auto' | 'native' | 'wasm' | 'reference';
  /** Absent: as many as the backend takes by itself. */
  readonly threads?: number;
  readonly dtype?: 'f32' | 'q8' | 'q4';
  readonly simd: 'auto' | 'relaxed' | 'plain';
  readonly shape?: string;
  /** Timed repeats; the first ones that warm the code up are not among them. */
  readonly repeats: number;
  /** Tokens per repeat, or of an answer, where the benchmark has them. */
  readonly tokens?: number;
  /** A model by name or path. */
  readonly model?: string;
  /** Of a load test: clients at once, arrivals a second, how long, the prompts, and the bounds of goodput in milliseconds. */
  readonly clients?: readonly number[];
  readonly rate?: readonly number[];
  readonly seconds?: number;
  readonly promptTokens?: number;
  readonly sharedPrefix?: number;
  readonly ttft?: number;
  readonly tpot?: number;
}

/** What a benchmark can be asked for, beside repeats. */
export type BenchFlag = Exclude<keyof BenchOptions, 'repeats'>;

/** Flags of everything that runs on a backend. */
export const BACKEND_FLAGS = ['backend', 'threads', 'simd'] as const satisfies readonly BenchFlag[];

export interface Benchmark {
  readonly name: string;
  readonly summary: string;
  /** The flags it heeds; others are refused, so that no figure looks as if it had heeded them. */
  readonly takes: readonly BenchFlag[];
  /** Runs, prints what a person wants to see, and returns the record that is printed last. */
  run(options: BenchOptions): Promise<BenchRecord>;
}

export type BenchRecord = { readonly bench: string } & Readonly<Record<string, unknown>>;

export interface Spread {
  readonly median: number;
  readonly lowest: number;
  readonly highest: number;
  readonly repeats: number;
}

export function summarize(samples: readonly number[]): Spread {
  const sorted = samples.toSorted((a, b) => a - b);
  const at = (index: number): number => sorted[index] ?? Number.NaN;
  const middle = Math.floor(sorted.length / 2);
  const median = sorted.length % 2 === 1 ? at(middle) : (at(middle - 1) + at(middle)) / 2;
  return { median, lowest: at(0), highest: at(sorted.length - 1), repeats: sorted.length };
}

/** Rates (`work` per second) of `repeats` timed runs, after `warmup` untimed ones. */
export async function rates(
  work: number,
  run: () => void | Promise<void>,
  { repeats, warmup = 3 }: { repeats: number; warmup?: number },
): Promise<Spread> {
  for (let i = 0; i < warmup; i++) await run();
  const samples: number[] = [];
  for (let i = 0; i < repeats; i++) {
    const start = performance.now();
    await run();
    samples.push(work / ((performance.now() - start) / 1000));
  }
  return summarize(samples);
}

/** A figure and its spread as fields: `gflops`, `gflops_lowest`, `gflops_highest`. */
export function figure(name: string, spread: Spread, divisor = 1): Record<string, number> {
  const round = (value: number): number => Number((value / divisor).toPrecision(4));
  return {
    [name]: round(spread.median),
    [`${name}_lowest`]: round(spread.lowest),
    [`${name}_highest`]: round(spread.highest),
    repeats: spread.repeats,
  };
}

/** Which machine and runtime a record was measured on. */
export function machine(): Record<string, string | number> {
  const [cpu] = cpus();
  return { cpu: cpu?.model ?? 'unknown', cores: cpus().length, node: process.version, date: new Date().toISOString().slice(0, 10) };
}

/** 1024x768x512 → [1024, 768, 512]. */
export function parseExtents(text: string, names: readonly string[]): number[] {
  const extents = text.split('x').map(Number);
  if (extents.length !== names.length || !extents.every((extent) => Number.isInteger(extent) && extent > 0)) {
    throw new Error(`shape "${text}" is not ${names.join('x')}, e.g. ${names.map(() => '512').join('x')}`);
  }
  return extents;
}
