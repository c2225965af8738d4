/**
 * A model that puts texts into classes: a transformer's body and, in place of its output matrix, one row of weights a label, over the
 * state of a sequence's last token. As Hugging Face has it (LlamaForSequenceClassification, GPT2ForSequenceClassification): the head is
 * `score.weight` (labels, C) without a bias, and `config.json` names the labels in `id2label`. A body with a pooler (BERT) is asked for
 * what that makes of the first token's state, and the head is `classifier.weight` and `classifier.bias`.
 */
import { type Backend, type Context, IGNORE_INDEX, ops, type Random, Tensor } from '@parley/engine';
import type { Batch } from './batch.ts';
import type { TransformerConfig } from './config.ts';
import { BatchError, ConfigError, ModelError } from './errors.ts';
import * as s from './schema.ts';
import type { Transformer } from './transformer.ts';

/** The head's tensors, in memory and in files. */
export const headNames = (body: TransformerConfig): { readonly weight: string; readonly bias: string | null } =>
  body.pooler ? { weight: 'classifier.weight', bias: 'classifier.bias' } : { weight: 'score.weight', bias: null };

const INITIAL_DEVIATION = 0.02;

export interface ClassifierLossOptions {
  /** (S): the label of each sequence. */
  readonly targets: Int32Array;
  /** What one sequence weighs in the gradient. Default 1/S: the mean. */
  readonly scale?: number;
  /** Label smoothing, of the gradient alone (see ops.crossEntropy). Default 0. */
  readonly smoothing?: number;
  /** (S): what each sequence's loss weighs beside the others in the gradient. Default 1. */
  readonly weights?: Float32Array;
}

export class SequenceClassifier implements Disposable {
  readonly body: Transformer;
  /** (labels, C), f32. */
  readonly score: Tensor;
  /** (labels); null where the head has none. */
  readonly bias: Tensor | null;
  /** By their numbers. */
  readonly labels: readonly string[];

  /** Owns body, score and bias from here on; a bias is for bodies with a pooler, zeros where it is left out. Throws ModelError where they do not belong together, or a label has no name of its own. */
  constructor(body: Transformer, score: Tensor, labels: readonly string[], bias: Tensor | null = null) {
    checkLabels(labels);
    const names = headNames(body.config);
    if (score.shape.join() !== [labels.length, body.config.hiddenSize].join()) {
      throw new ModelError(`${names.weight} is [${score.shape.join(', ')}]; ${labels.length} labels over this model take [${labels.length}, ${body.config.hiddenSize}]`);
    }
    if (bias && names.bias === null) throw new ModelError('the head over a model without a pooler has no bias: leave it out');
    if (bias && bias.shape.join() !== `${labels.length}`) throw new ModelError(`${names.bias} is [${bias.shape.join(', ')}]; ${labels.length} labels take [${labels.length}]`);
    this.body = body;
    this.score = score;
    this.labels = labels;
    this.bias = bias ?? (names.bias === null ? null : Tensor.allocate(body.backend, [labels.length]));
    for (const tensor of [score, this.bias]) if (tensor) tensor.requiresGrad = true;
  }

  /** A fresh head on a body (see `loadBody`): normal with deviation 0.02. The same `random` state gives the same bits. */
  static initialize(body: Transformer, labels: readonly string[], random: Random): SequenceClassifier {
    checkLabels(labels);
    const shape = [labels.length, body.config.hiddenSize];
    const values = Float32Array.from({ length: labels.length * body.config.hiddenSize }, () => INITIAL_DEVIATION * random.normal());
    const score = Tensor.from(body.backend, values, shape);
    try {
      return new SequenceClassifier(body, score, labels);
    } catch (error) {
      score.dispose();
      throw error;
    }
  }

  get backend(): Backend {
    return this.body.backend;
  }

  /** The body's and the head's, by name. */
  get parameters(): ReadonlyMap<string, Tensor> {
    return new Map([...this.body.parameters, ...this.head]);
  }

  /** The head's alone. */
  get head(): ReadonlyMap<string, Tensor> {
    const names = headNames(this.body.config);
    return new Map([[names.weight, this.score], ...(names.bias !== null && this.bias ? [[names.bias, this.bias] as const] : [])]);
  }

  /** Logits (S, labels), one row a sequence of the batch, which names no `logitRows`. Throws BatchError as the transformer does. */
  forward(ctx: Context, batch: Omit<Batch, 'logitRows'>): Tensor {
    const isPooled = this.body.config.pooler === true;
    const logitRows = Int32Array.from(batch.sequences, ({ start, length }) => (isPooled ? start : start + length - 1));
    const states = this.body.hidden(ctx, { ...batch, logitRows });
    return ops.linear(ctx, isPooled ? this.body.pool(ctx, states) : states, this.score, this.bias ?? undefined);
  }

  /** Logits, and cross-entropy (S) in nats and unscaled; with a tape, where the backward pass starts. The backward pass overwrites the logits. */
  loss(ctx: Context, batch: Omit<Batch, 'logitRows'>, options: ClassifierLossOptions): { logits: Tensor; losses: Tensor } {
    const { targets, scale = 1 / Math.max(1, targets.length), smoothing = 0, weights } = options;
    if (targets.length !== batch.sequences.length) throw new BatchError(`${batch.sequences.length} sequences came with ${targets.length} labels: pass one for each`);
    const wrong = targets.find((target) => target < 0 || target >= this.labels.length);
    if (wrong !== undefined) throw new BatchError(`label ${wrong} is none of ${this.labels.length}: labels count from 0`);
    const logits = this.forward(ctx, batch);
    const losses = ops.crossEntropy(ctx, logits, {
      targets: ctx.arena.from(targets), ignoreIndex: IGNORE_INDEX, scale, smoothing, ...(weights && { weights }),
    });
    return { logits, losses };
  }

  dispose(): void {
    this.score.dispose();
    this.bias?.dispose();
    this.body.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}

function checkLabels(labels: readonly string[]): void {
  if (labels.length < 2) throw new ModelError(`${labels.length === 0 ? 'no label' : 'one label'} cannot be told from others: a classifier takes two and more`);
  const twice = labels.find((label, i) => labels.indexOf(label) !== i);
  if (twice !== undefined) throw new ModelError(`two labels are called ${JSON.stringify(twice)}: give each its own name`);
}

const labelsSchema = s.record(s.string());

/** The labels of a parsed `config.json`, by their numbers; null where it is no classifier's. Throws ConfigError. */
export function parseLabels(json: Readonly<Record<string, unknown>>, file = 'config.json'): string[] | null {
  const { architectures, id2label } = json;
  if (!Array.isArray(architectures) || !architectures.some((name) => typeof name === 'string' && name.endsWith('ForSequenceClassification'))) return null;
  const parsed = labelsSchema.safeParse(id2label);
  const labels = Array.from({ length: Object.keys(parsed.data ?? {}).length }, (_, i) => parsed.data?.[String(i)]);
  if (labels.length === 0 || !labels.every((label) => label !== undefined)) {
    throw new ConfigError(`${file}: id2label does not name the labels "0", "1", …: a classifier's config.json does`, { field: 'id2label', value: id2label });
  }
  return labels;
}

/** What a classifier's `config.json` says beside its body's. */
export const labelsJSON = (labels: readonly string[]): Record<string, unknown> => ({
  id2label: Object.fromEntries(labels.map((label, i) => [String(i), label])),
  label2id: Object.fromEntries(labels.map((label, i) => [label, i])),
  problem_type: 'single_label_classification',
});
