/** metrics.jsonl: one line a step and one a measurement. Fields under `timing` are the machine's; all others repeat exactly. */
import { appendFileSync, existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import type { SourceEvaluation } from './evaluate.ts';

export interface StepMetrics {
  readonly type: 'step';
  readonly stage: string;
  readonly step: number;
  /** Tokens gone through in this stage, padding not counted. */
  readonly tokens: number;
  /** Mean cross-entropy of the step's targets, nats. */
  readonly loss: number;
  readonly learning_rate: number;
  /** Before clipping. */
  readonly gradient_norm: number;
  /** Further figures of the step's items. */
  readonly scores?: Readonly<Record<string, number>>;
  /** peak_share: of the best rate seen on this machine so far, 0 to 1 (see Peak). */
  readonly timing: { readonly ms: number; readonly tokens_per_second: number; readonly peak_share: number };
}

/** A step that was left out: nothing was learned of its batches. Stands where its step line would. */
export interface SkipMetrics {
  readonly type: 'skip';
  readonly stage: string;
  readonly step: number;
  readonly tokens: number;
  /** Null where it was no number. */
  readonly loss: number | null;
  readonly gradient_norm: number | null;
  readonly reason: string;
}

export interface HeldOutMetrics {
  readonly type: 'held-out';
  readonly stage: string;
  readonly step: number;
  readonly tokens: number;
  /** Nats per target, over the sources as they are mixed. */
  readonly loss: number;
  /** Bits per byte of text, likewise. */
  readonly bits_per_byte: number;
  readonly sources: Readonly<Record<string, SourceEvaluation>>;
}

/** What held-out items were answered with: accuracy and macro_f1 of labels, accuracy and margin of preferences. */
export interface ScoreMetrics {
  readonly type: 'scores';
  readonly stage: string;
  readonly step: number;
  readonly tokens: number;
  readonly items: number;
  /** Mean over the items, nats. */
  readonly loss: number;
  readonly scores: Readonly<Record<string, number>>;
}

export interface SampleMetrics {
  readonly type: 'sample';
  readonly stage: string;
  readonly step: number;
  readonly prompt: string;
  readonly text: string;
}

export type Metrics = StepMetrics | SkipMetrics | HeldOutMetrics | ScoreMetrics | SampleMetrics;

/** Append-only. A line is written whole or, by a kill, not; `keepUntil` then tidies up on resuming. */
export class MetricsFile {
  readonly #path: string;

  constructor(path: string) {
    this.#path = path;
  }

  append(metrics: Metrics): void {
    appendFileSync(this.#path, `${JSON.stringify(metrics)}\n`);
  }

  /** Drops what was written after a checkpoint, and a half-written last line. Finished `stages` are kept whole. */
  keepUntil(place: { stages: readonly string[]; stage: string; step: number }): void {
    if (!existsSync(this.#path)) return;
    const kept = readMetrics(this.#path).filter(
      (line) => place.stages.includes(line.stage) || (line.stage === place.stage && line.step <= place.step),
    );
    const work = `${this.#path}.${process.pid}.tmp`;
    writeFileSync(work, kept.map((line) => `${JSON.stringify(line)}\n`).join(''));
    renameSync(work, this.#path);
  }
}

/** All whole lines of a metrics file. */
export function readMetrics(path: string): Metrics[] {
  const metrics: Metrics[] = [];
  for (const line of readFileSync(path, 'utf8').split('\n')) {
    if (line === '') continue;
    try {
      metrics.push(JSON.parse(line) as Metrics);
    } catch {
      // A kill may cut the last line; the step it belongs to is run again from the checkpoint.
    }
  }
  return metrics;
}
