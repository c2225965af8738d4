/** The benchmarks by name, each loaded when it is asked for. */
import type { Benchmark } from './harness.ts';

export const BENCHMARKS: Readonly<Record<string, () => Promise<{ benchmark: Benchmark }>>> = {
  matmul: () => import('./matmul.ts'),
  matvec: () => import('./matvec.ts'),
  decode: () => import('./decode.ts'),
  prefill: () => import('./prefill.ts'),
  train: () => import('./train.ts'),
  lookup: () => import('./lookup.ts'),
  'lookup-texts': () => import('./lookup-texts.ts'),
  assisted: () => import('./assisted.ts'),
  start: () => import('./start.ts'),
  'serve-engine': () => import('./serve-engine.ts'),
  'serve-load': () => import('./serve-load.ts'),
  store: () => import('./store.ts'),
  tokenizer: () => import('./tokenizer.ts'),
  data: () => import('./data.ts'),
  dedup: () => import('./dedup.ts'),
};
