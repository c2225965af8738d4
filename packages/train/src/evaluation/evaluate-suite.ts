/** A suite from its first entry to a report: read, draw, ask, measure, and put an interval and a baseline beside every figure. */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { basename, relative, resolve } from 'node:path';
import { type FileRecord, fileRecord, tokenizerDigest } from '@parley/data';
import { parameterCount, type Transformer } from '@parley/model';
import type { Tokenizer } from '@parley/tokenizer';
import { bootstrap, type Interval } from './bootstrap.ts';
import { drawItems, trainedOn, type TrainingRun } from './items.ts';
import type { Suite, SuiteEntry } from './suite.ts';
import { type Measure, runTask, type Sample, type TaskResult, type TextGenerator } from './tasks.ts';

export interface EvaluateSuiteOptions {
  readonly suite: Suite;
  /** The suite as it was written: its hash is in the report. */
  readonly text: string;
  /** Where the suite's relative paths start. */
  readonly folder: string;
  readonly model: Transformer;
  readonly tokenizer: Tokenizer;
  readonly generate: TextGenerator;
  /** What the report calls the model, and the hashes of its weight files. */
  readonly name: string;
  readonly weights: readonly FileRecord[];
  /** What measured: a version or commit. */
  readonly code: string;
  /** ISO date. */
  readonly date: string;
  /** What the model was trained on, if that is known. */
  readonly run?: TrainingRun | undefined;
  /** Items of each entry at most, below what the suite says. */
  readonly limit?: number | undefined;
  readonly onEvent?: ((event: EvaluationEvent) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

export type EvaluationEvent =
  | { readonly type: 'entry'; readonly name: string; readonly index: number; readonly entries: number }
  | { readonly type: 'items'; readonly name: string; readonly done: number; readonly total: number }
  | { readonly type: 'result'; readonly entry: EntryReport };

/** A number with its 95 % interval. Null where it is not defined, which JSON cannot say otherwise. */
export interface Estimate {
  readonly value: number | null;
  readonly low: number | null;
  readonly high: number | null;
}

export interface Figure extends Estimate {
  readonly metric: string;
  readonly unit: Measure['unit'];
  readonly better: Measure['better'];
  readonly signature?: string;
  /** `difference`: the model's less the baseline's on the same items. */
  readonly baselines: readonly (Estimate & { readonly name: string; readonly difference: Estimate })[];
}

interface EntryHead {
  readonly name: string;
  readonly task: SuiteEntry['task'];
  readonly language: string;
  readonly domain?: string;
}

export type EntryReport = EntryHead & (
  | {
    readonly status: 'measured';
    readonly file: FileRecord;
    readonly train?: FileRecord;
    readonly licence?: string;
    readonly items: { readonly total: number; readonly eligible: number; readonly measured: number };
    /** unknown: no run was given. unseen: not among its files. held-out: only what was kept from training. seen: trained on. */
    readonly training: 'unknown' | 'unseen' | 'held-out' | 'seen';
    readonly figures: readonly Figure[];
    readonly samples: readonly Sample[];
    readonly confusion?: NonNullable<TaskResult['confusion']>;
    readonly notes: readonly string[];
    readonly seconds: number;
  }
  | { readonly status: 'skipped' | 'failed'; readonly reason: string }
);

export interface EvaluationReport {
  readonly version: 1;
  readonly model: {
    readonly name: string; readonly parameters: number; readonly contextLength: number; readonly dtype: string; readonly tokenizer: string;
    readonly weights: readonly FileRecord[];
  };
  readonly suite: { readonly name: string; readonly description?: string; readonly sha256: string; readonly seed: number };
  readonly code: string;
  readonly date: string;
  readonly backend: string;
  /** Null: not given. */
  readonly trainedOn: readonly { readonly source: string; readonly licence?: string; readonly files: readonly FileRecord[] }[] | null;
  readonly entries: readonly EntryReport[];
}

/** Of a model folder's .safetensors files and the like. */
export const hashFiles = (paths: readonly string[]): Promise<FileRecord[]> => Promise.all(paths.map((path) => fileRecord(path)));

/**
 * Entries whose file is absent are skipped and those that fail are told, the others go on. Throws the signal's reason.
 */
export async function evaluateSuite(options: EvaluateSuiteOptions): Promise<EvaluationReport> {
  const { suite, model, tokenizer, run } = options;
  const entries: EntryReport[] = [];
  for (const [index, entry] of suite.entries.entries()) {
    options.signal?.throwIfAborted();
    options.onEvent?.({ type: 'entry', name: entry.name, index, entries: suite.entries.length });
    const report = await evaluateEntry(entry, options);
    entries.push(report);
    options.onEvent?.({ type: 'result', entry: report });
  }
  return {
    version: 1,
    model: {
      name: options.name, parameters: parameterCount(model.config), contextLength: model.config.contextLength, dtype: model.dtype,
      tokenizer: tokenizerDigest(tokenizer), weights: options.weights,
    },
    suite: {
      name: suite.name, ...(suite.description === undefined ? {} : { description: suite.description }),
      sha256: createHash('sha256').update(options.text).digest('hex'), seed: suite.seed,
    },
    code: options.code, date: options.date, backend: model.backend.description,
    trainedOn: run === undefined ? null : run.manifest.sources.map(({ name, licence, files }) => ({ source: name, ...(licence === undefined ? {} : { licence }), files })),
    entries,
  };
}

async function evaluateEntry(entry: SuiteEntry, options: EvaluateSuiteOptions): Promise<EntryReport> {
  const head: EntryHead = { name: entry.name, task: entry.task, language: entry.language, ...(entry.domain === undefined ? {} : { domain: entry.domain }) };
  const paths = [entry.file, ...(entry.train === undefined ? [] : [entry.train])].map((path) => resolve(options.folder, path));
  const absent = paths.find((path) => !existsSync(path));
  if (absent !== undefined) return { ...head, status: 'skipped', reason: `there is no ${relative(options.folder, absent)}` };
  try {
    return { ...head, ...(await measureEntry(entry, paths, options)) };
  } catch (error) {
    if (options.signal?.aborted === true) throw error;
    return { ...head, status: 'failed', reason: scrub(error instanceof Error ? error.message : String(error), paths) };
  }
}

/** A report is published; a machine's folders are nobody's business. */
const scrub = (message: string, paths: readonly string[]): string => paths.reduce((text, path) => text.replaceAll(path, basename(path)), message);

type Outcome = { readonly status: 'skipped'; readonly reason: string } | Omit<Extract<EntryReport, { status: 'measured' }>, keyof EntryHead>;

async function measureEntry(entry: SuiteEntry, [path = '', trainPath]: readonly string[], options: EvaluateSuiteOptions): Promise<Outcome> {
  const { suite, model, tokenizer, generate, run, signal } = options;
  const begun = performance.now();
  const file = await fileRecord(path);
  const membership = run === undefined ? null : trainedOn(run, file.sha256);
  const keep = membership === null || entry.split === 'all' ? undefined : (item: Parameters<typeof membership.seen>[0]) => !membership.seen(item);
  const limit = Math.min(entry.limit ?? suite.limit, options.limit ?? Infinity);
  const drawn = await drawItems(path, { limit, seed: suite.seed, where: entry.where, convert: entry.convert, keep, signal });
  if (drawn.items.length === 0) {
    const why = keep === undefined ? 'no item has what `where` asks for' : `all of it was trained on (${membership?.sources.join(', ')})`;
    return { status: 'skipped', reason: `none of the ${drawn.total} items is left: ${why}` };
  }
  const train = trainPath === undefined ? null : (await drawItems(trainPath, { limit: Infinity, seed: suite.seed, where: entry.where, convert: entry.convert, signal })).items;
  const result = await runTask(entry, {
    model, tokenizer, generate, items: drawn.items, rest: drawn.rest, train, seed: suite.seed, signal,
    onProgress: (done, total) => options.onEvent?.({ type: 'items', name: entry.name, done, total }),
  });
  return {
    status: 'measured', file,
    ...(trainPath === undefined ? {} : { train: await fileRecord(trainPath) }),
    ...(entry.licence === undefined ? {} : { licence: entry.licence }),
    items: { total: drawn.total, eligible: drawn.eligible, measured: drawn.items.length },
    training: run === undefined ? 'unknown' : membership === null ? 'unseen' : entry.split === 'all' ? 'seen' : 'held-out',
    figures: figures(result.measures, { items: drawn.items.length, seed: suite.seed }),
    samples: result.samples,
    ...(result.confusion === undefined ? {} : { confusion: result.confusion }),
    notes: result.notes, seconds: Math.round(performance.now() - begun) / 1000,
  };
}

/** All figures of an entry over the same draws, the differences paired item by item. */
export function figures(measures: readonly Measure[], options: { items: number; seed: number }): Figure[] {
  return measures.map(({ statistic, baselines, signature, ...head }) => {
    const paired = baselines.flatMap((baseline) => [baseline.statistic, (indices: Int32Array) => statistic(indices) - baseline.statistic(indices)]);
    const [own, ...others] = bootstrap([statistic, ...paired], options);
    return {
      ...head, ...estimate(own), ...(signature === undefined ? {} : { signature }),
      baselines: baselines.map(({ name }, b) => ({ name, ...estimate(others[2 * b]), difference: estimate(others[2 * b + 1]) })),
    };
  });
}

const finite = (value: number | undefined): number | null => (value !== undefined && Number.isFinite(value) ? value : null);
const estimate = (interval: Interval | undefined): Estimate => ({ value: finite(interval?.value), low: finite(interval?.low), high: finite(interval?.high) });
