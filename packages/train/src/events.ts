/** What a run tells while it works. The command line prints them; a program may show or store them. */
import type { PrepareProgress } from '@parley/data';
import type { StageSummary } from './checkpoint.ts';
import type { Derivation } from './dial.ts';
import type { HeldOutMetrics, SampleMetrics, ScoreMetrics, SkipMetrics, StepMetrics } from './metrics.ts';

export type TrainEvent =
  /** Something a person should know. */
  | { readonly type: 'note'; readonly text: string }
  /** Counting words (megabytes read, of about how many), then merging (merges, of how many). */
  | { readonly type: 'tokenizer'; readonly phase: 'count' | 'merge'; readonly done: number; readonly total: number }
  | ({ readonly type: 'prepare' } & PrepareProgress)
  /** What the recipe left open, of the model or of a stage, and why it is what it is. */
  | { readonly type: 'derived'; readonly of: string; readonly derived: readonly Derivation[] }
  /** How long a stage will take, measured on this machine before it starts. `tokens` are those of all its steps. */
  | { readonly type: 'estimate'; readonly stage: string; readonly steps: number; readonly tokens: number; readonly seconds: number }
  | {
    readonly type: 'stage'; readonly stage: string; readonly steps: number; readonly step: number; readonly tokensPerStep: number;
    readonly parameters: number;
    /** The machine's best rate of matrix products so far, GFLOP/s. */
    readonly peakGflops: number;
    /** Passes over each source that the whole stage makes. */
    readonly epochs: Readonly<Record<string, number>>;
  }
  | (StepMetrics & { readonly steps: number; readonly secondsLeft: number })
  /** `skipped`: so many in this stage. */
  | (SkipMetrics & { readonly skipped: number })
  | HeldOutMetrics
  | ScoreMetrics
  | SampleMetrics
  | { readonly type: 'checkpoint'; readonly stage: string; readonly step: number; readonly folder: string }
  | { readonly type: 'stage-end'; readonly summary: StageSummary }
  | { readonly type: 'export'; readonly folder: string };
