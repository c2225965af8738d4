/** The fill-mask pipeline: what stands behind a text's mask, in Transformers.js's shape. */
import { OptionError, unknownOption } from '@parley/generate';
import type { Tokenizer } from '@parley/tokenizer';
import { encodeTexts } from './encode-texts.ts';
import { TaskError } from './errors.ts';
import type { SequenceModel, SequenceModelInfo } from './sequence-model.ts';

export interface FillMaskOptions {
  /** How many fillings, the likeliest first. Default 5. */
  top_k?: number;
  signal?: AbortSignal;
}

export interface FillMaskOutput {
  /** Its probability among all tokens. */
  score: number;
  token: number;
  token_str: string;
  /** The text with it in the mask's place. */
  sequence: string;
}

export interface FillMaskPipeline extends AsyncDisposable {
  /** Each text has one mask: the tokenizer's `mask_token`, like `[MASK]`. */
  (text: string, options?: FillMaskOptions): Promise<FillMaskOutput[]>;
  (texts: readonly string[], options?: FillMaskOptions): Promise<FillMaskOutput[][]>;
  readonly task: 'fill-mask';
  readonly info: SequenceModelInfo;
  readonly tokenizer: Tokenizer;
  /** Frees the model. */
  dispose(): Promise<void>;
}

const OPTION_NAMES = ['top_k', 'signal'];

/** Throws TaskError for a tokenizer without a mask. */
export function fillMask(model: SequenceModel, tokenizer: Tokenizer): FillMaskPipeline {
  const { maskTokenId: mask } = tokenizer;
  if (mask === undefined) throw new TaskError('this model\'s tokenizer has no mask_token: use one that was trained to fill masks, a BERT for one');
  const name = tokenizer.idToToken(mask) ?? '';

  const call = async (input: string | readonly string[], options: FillMaskOptions = {}): Promise<unknown> => {
    const { top_k = 5, signal } = options;
    for (const option of Object.keys(options)) if (!OPTION_NAMES.includes(option)) throw unknownOption(option, OPTION_NAMES);
    if (!Number.isSafeInteger(top_k) || top_k < 1) throw new OptionError(`top_k is ${top_k}: it has to be a whole number from 1`, { option: 'top_k', value: top_k });
    const sequences = encodeTexts(input, { tokenizer, contextLength: model.info.contextLength, truncation: false, special: 'parse' });
    const rows = sequences.map((ids, index) => {
      const places = ids.reduce((count, id) => count + Number(id === mask), 0);
      if (places !== 1) throw new TaskError(`${sequences.length === 1 ? 'the text' : `text ${index}`} has ${places} masks: write ${name} once, where a word is missing`);
      return ids.indexOf(mask);
    });
    const answers = await model.answer(sequences, { type: 'token', rows }, signal);
    const filled = answers.map((logits, i) => likeliest(logits, top_k, tokenizer).map(({ token, score }) => ({
      score, token, token_str: tokenizer.decode([token]), sequence: tokenizer.decode((sequences[i] as Int32Array).with(rows[i] as number, token), { skipSpecialTokens: true }),
    })));
    return typeof input === 'string' ? filled[0] : filled;
  };

  return Object.assign(call as (...args: unknown[]) => Promise<never>, {
    task: 'fill-mask' as const,
    info: model.info,
    tokenizer,
    dispose: () => model.dispose(),
    [Symbol.asyncDispose]: () => model.dispose(),
  }) as FillMaskPipeline;
}

/** The tokens of the largest logits and their probabilities; of equals the first. Rows that fill a table up to a round number are no tokens. */
function likeliest(logits: Float32Array, count: number, tokenizer: Tokenizer): { token: number; score: number }[] {
  const highest = logits.reduce((most, value) => Math.max(most, value), -Infinity);
  let total = 0;
  for (const value of logits) total += Math.exp(value - highest);
  const known = Uint32Array.from(logits.keys()).filter((id) => tokenizer.idToToken(id) !== undefined);
  const order = known.sort((a, b) => (logits[b] as number) - (logits[a] as number) || a - b);
  return Array.from(order.subarray(0, count), (token) => ({ token, score: Math.exp((logits[token] as number) - highest) / total }));
}
