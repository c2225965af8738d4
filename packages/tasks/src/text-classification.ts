/** The text-classification pipeline: texts in, their likeliest labels out, in Transformers.js's shape. */
import { OptionError, unknownOption } from '@parley/generate';
import type { Tokenizer } from '@parley/tokenizer';
import { encodeTexts } from './encode-texts.ts';
import type { SequenceModel, SequenceModelInfo } from './sequence-model.ts';

export interface TextClassificationOptions {
  /** How many labels, the likeliest first; null: all. Default 1. */
  top_k?: number | null;
  /** Cut a text that is over the model's context to its beginning; otherwise it is an error. Default false. */
  truncation?: boolean;
  signal?: AbortSignal;
}

export interface TextClassificationOutput {
  label: string;
  /** Its probability, 0 to 1; all labels' add up to 1. */
  score: number;
}

export interface TextClassificationPipeline extends AsyncDisposable {
  (text: string, options?: TextClassificationOptions): Promise<TextClassificationOutput[]>;
  (texts: readonly string[], options?: TextClassificationOptions & { top_k?: 1 }): Promise<TextClassificationOutput[]>;
  (texts: readonly string[], options: TextClassificationOptions): Promise<TextClassificationOutput[] | TextClassificationOutput[][]>;
  readonly task: 'text-classification';
  /** Facts about the model: labels, size, context, backend. */
  readonly info: SequenceModelInfo;
  readonly tokenizer: Tokenizer;
  /** Frees the model. */
  dispose(): Promise<void>;
}

const OPTION_NAMES = ['top_k', 'truncation', 'signal'];

export function textClassification(classifier: SequenceModel, tokenizer: Tokenizer): TextClassificationPipeline {
  const { labels, contextLength } = classifier.info;

  const call = async (input: string | readonly string[], options: TextClassificationOptions = {}): Promise<unknown> => {
    const { top_k = 1, truncation = false, signal } = options;
    for (const name of Object.keys(options)) if (!OPTION_NAMES.includes(name)) throw unknownOption(name, OPTION_NAMES);
    if (top_k !== null && (!Number.isSafeInteger(top_k) || top_k < 1)) throw new OptionError(`top_k is ${top_k}: it has to be a whole number from 1, or null for all labels`, { option: 'top_k', value: top_k });
    const sequences = encodeTexts(input, { tokenizer, contextLength, truncation });
    const answers = (await classifier.answer(sequences, { type: 'labels' }, signal)).map((logits) => ranked(logits, labels).slice(0, top_k ?? labels.length));
    if (typeof input === 'string') return answers[0];
    return top_k === 1 ? answers.flat() : answers;
  };

  return Object.assign(call as (...args: unknown[]) => Promise<never>, {
    task: 'text-classification' as const,
    info: classifier.info,
    tokenizer,
    dispose: () => classifier.dispose(),
    [Symbol.asyncDispose]: () => classifier.dispose(),
  }) as TextClassificationPipeline;
}

/** Labels with the softmax of their logits, the likeliest first; of equals the first. */
function ranked(logits: Float32Array, labels: readonly string[]): TextClassificationOutput[] {
  const highest = logits.reduce((most, value) => Math.max(most, value), -Infinity);
  const weights = Float64Array.from(logits, (value) => Math.exp(value - highest));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return labels.map((label, i) => ({ label, score: (weights[i] ?? 0) / total })).sort((a, b) => b.score - a.score);
}
