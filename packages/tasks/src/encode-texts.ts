import type { Tokenizer } from '@parley/tokenizer';
import { TaskError } from './errors.ts';

export interface EncodeTextsOptions {
  readonly tokenizer: Tokenizer;
  readonly contextLength: number;
  readonly truncation: boolean;
  /** What special tokens in the texts are. Default `text`. */
  readonly special?: 'parse' | 'text';
}

/** Tokens of one text or several. Throws TaskError for what is no text, empty, or over the context where that is not to be cut. */
export function encodeTexts(input: unknown, options: EncodeTextsOptions): Int32Array[] {
  const { tokenizer, contextLength, truncation, special = 'text' } = options;
  const texts: unknown = typeof input === 'string' ? [input] : input;
  if (!Array.isArray(texts) || texts.length === 0) throw new TaskError('the input is no text: pass a text, or a list of texts');
  return texts.map((text: unknown, index) => {
    if (typeof text !== 'string') throw new TaskError(`item ${index} of the input is ${text === null ? 'null' : typeof text}: pass texts`);
    const what = texts.length === 1 ? 'the text' : `text ${index}`;
    const ids = tokenizer.encode(text, { special });
    if (ids.length === 0) throw new TaskError(`${what} is empty: there is nothing in it to ask about`);
    if (ids.length > contextLength && !truncation) {
      throw new TaskError(
        `${what} has ${ids.length.toLocaleString('en-US')} tokens, this model's context is ${contextLength.toLocaleString('en-US')}: ` +
          'shorten it, or pass truncation: true to take its beginning',
      );
    }
    return Int32Array.from(truncated(ids, { tokenizer, contextLength }));
  });
}

/** The beginning of a text that is too long, with the tokens that the tokenizer puts behind every text still behind it. */
function truncated(ids: readonly number[], { tokenizer, contextLength }: { tokenizer: Tokenizer; contextLength: number }): readonly number[] {
  if (ids.length <= contextLength) return ids;
  const bare = tokenizer.encode('');
  // What an empty text is given is what stands around every text; of this, what is at the end of this one stands behind it.
  let behind = 0;
  while (behind < bare.length && behind < contextLength && ids.at(-1 - behind) === bare.at(-1 - behind)) behind++;
  return [...ids.slice(0, contextLength - behind), ...ids.slice(ids.length - behind)];
}
