/** Learning labels: cross-entropy over the last state of each text, and what held-out texts are taken for. */
import { Arena, type Random, Tape } from '@parley/engine';
import type { SequenceClassifier, TransformerConfig } from '@parley/model';
import { TrainError } from '../errors.ts';
import { accuracy, macroF1 } from '../evaluation/classification.ts';
import type { TrainingWork } from '../peak.ts';
import type { RecipeStage } from '../recipe.ts';
import type { LabelledItem } from './labelled.ts';
import { microBatches, packSequences, workOf } from './order.ts';
import type { ItemObjective } from './stage.ts';

export interface ClassifyOptions {
  readonly classifier: SequenceClassifier;
  readonly train: readonly LabelledItem[];
  readonly heldOut: readonly LabelledItem[];
  /** By the labels' numbers: what a text of each weighs. */
  readonly weights: readonly number[];
  readonly smoothing: number;
  /** Tokens computed at once. */
  readonly microTokens: number;
}

export class ClassifyObjective implements ItemObjective, Disposable {
  readonly #options: ClassifyOptions;
  readonly #arena: Arena;

  constructor(options: ClassifyOptions) {
    this.#options = options;
    this.#arena = new Arena(options.classifier.backend);
  }

  get config(): TransformerConfig {
    return this.#options.classifier.body.config;
  }

  get items(): number {
    return this.#options.train.length;
  }

  async accumulate(items: readonly number[], random: Random): Promise<{ loss: number; work: TrainingWork; scores: { accuracy: number } }> {
    const { classifier, train, weights, smoothing } = this.#options;
    const of = (item: number): LabelledItem => train[item] as LabelledItem;
    // The mean is over the weights, as PyTorch's is.
    const total = items.reduce((sum, item) => sum + (weights[of(item).label] ?? 1), 0);
    let nats = 0;
    let right = 0;
    for (const batch of microBatches(items, (item) => of(item).ids.length, this.#options.microTokens)) {
      this.#arena.reset();
      const tape = new Tape();
      const targets = Int32Array.from(batch, (item) => of(item).label);
      const own = Float32Array.from(targets, (label) => weights[label] ?? 1);
      const { logits, losses } = classifier.loss({ arena: this.#arena, tape, random }, packSequences(batch.map((item) => of(item).ids)), {
        targets, weights: own, smoothing, scale: 1 / total,
      });
      right += countRight(await logits.read(), targets);
      for (const [i, loss] of (await losses.read()).entries()) nats += loss * (own[i] ?? 1);
      tape.backward();
    }
    return { loss: nats / total, work: workOf(items.map((item) => of(item).ids.length)), scores: { accuracy: right / items.length } };
  }

  async measure(): Promise<{ loss: number; items: number; scores: { accuracy: number; macro_f1: number } } | null> {
    const { classifier, heldOut, microTokens } = this.#options;
    if (heldOut.length === 0) return null;
    const predicted = new Int32Array(heldOut.length);
    const gold = Int32Array.from(heldOut, ({ label }) => label);
    let nats = 0;
    for (const batch of microBatches([...heldOut.keys()], (item) => heldOut[item]?.ids.length ?? 0, microTokens)) {
      this.#arena.reset();
      const targets = Int32Array.from(batch, (item) => gold[item] ?? 0);
      const { logits, losses } = classifier.loss(
        { arena: this.#arena, tape: null }, packSequences(batch.map((item) => heldOut[item]?.ids ?? new Int32Array())), { targets },
      );
      for (const loss of await losses.read()) nats += loss;
      for (const [i, label] of likeliest(await logits.read(), batch.length).entries()) predicted[batch[i] ?? 0] = label;
    }
    const labelled = { gold, predicted, labels: classifier.labels.length };
    return { loss: nats / heldOut.length, items: heldOut.length, scores: { accuracy: accuracy(labelled), macro_f1: macroF1(labelled) } };
  }

  dispose(): void {
    this.#arena.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}

/** The label of the largest logit in each of so many rows. */
function likeliest(logits: Float32Array, rows: number): number[] {
  const width = logits.length / rows;
  return Array.from({ length: rows }, (_, row) => {
    const own = logits.subarray(row * width, (row + 1) * width);
    return own.indexOf(own.reduce((most, value) => Math.max(most, value), -Infinity));
  });
}

const countRight = (logits: Float32Array, targets: Int32Array): number =>
  likeliest(logits, targets.length).filter((label, i) => label === targets[i]).length;

/** What each label's texts weigh. balanced: items / (labels · items of the label), as scikit-learn has it. Throws TrainError. */
export function classWeights(wanted: RecipeStage['class_weights'], data: { readonly labels: readonly string[]; readonly train: readonly LabelledItem[] }): number[] {
  const { labels, train } = data;
  if (wanted === undefined) return labels.map(() => 1);
  if (wanted === 'balanced') {
    const counts = new Float64Array(labels.length);
    for (const { label } of train) counts[label] = (counts[label] ?? 0) + 1;
    return Array.from(counts, (count) => train.length / (labels.length * count));
  }
  const unknown = Object.keys(wanted).find((label) => !labels.includes(label));
  if (unknown !== undefined) throw new TrainError(`class_weights names the label "${unknown}", which no text has: there are ${labels.slice(0, 12).join(', ')}${labels.length > 12 ? ', …' : ''}`);
  return labels.map((label) => wanted[label] ?? 1);
}
