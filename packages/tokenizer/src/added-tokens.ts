/**
 * Tokens that stand outside the merges and are found in the text as they are: special tokens like `<|im_end|>`, and
 * ordinary words that a model was given later. The rules are those of Hugging Face's `added_tokens`.
 */
import { TokenizerFormatError } from './errors.ts';
import { Fields } from './fields.ts';
import { HIGHEST_ID } from './model.ts';

export interface AddedToken {
  id: number;
  content: string;
  /** Markup, and not text: only parsed where the caller asks for it, and left out by `skipSpecialTokens`. */
  special: boolean;
  /** Takes the white space before or after it along. */
  lstrip: boolean;
  rstrip: boolean;
  /** Only found where no letter, digit, mark or underscore touches it. */
  singleWord: boolean;
  /** Looked for after the normalizer has run, and not before. */
  normalized: boolean;
}

/** What stands between two added tokens (`id` −1), or an added token. Offsets are code units of the text searched. */
export interface Segment {
  id: number;
  start: number;
  end: number;
}

/** Reads one entry of tokenizer.json's `added_tokens`, or of `added_tokens_decoder` when `id` is given. */
export function parseAddedToken(json: unknown, path: string, id?: number): AddedToken {
  const fields = new Fields(json, path);
  const special = fields.boolean('special', false);
  const token: AddedToken = {
    id: id ?? readId(fields),
    content: fields.string('content'),
    special,
    lstrip: fields.boolean('lstrip', false),
    rstrip: fields.boolean('rstrip', false),
    singleWord: fields.boolean('single_word', false),
    normalized: fields.boolean('normalized', !special),
  };
  fields.skip('__type');
  fields.finish();
  if (token.content === '') throw new TokenizerFormatError(fields.at('content'), 'is empty: an added token has at least one character');
  return token;
}

function readId(fields: Fields): number {
  const id = fields.integer('id');
  return id <= HIGHEST_ID ? id : fields.refuse('id', `expected one from 0 to ${HIGHEST_ID}`);
}

export const addedTokenJSON = ({ id, content, singleWord, lstrip, rstrip, normalized, special }: AddedToken): Record<string, unknown> => ({
  id, content, single_word: singleWord, lstrip, rstrip, normalized, special,
});

const ENDS_IN_WORD = /[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]$/u;
const STARTS_WITH_WORD = /^[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]/u;
const WHITE_SPACE = /\p{White_Space}/u;

/** Finds a set of added tokens in texts: the leftmost, and of those at one place the longest. */
export class AddedTokenMatcher {
  readonly #byFirstUnit = new Map<number, { content: string; token: AddedToken }[]>();
  readonly #firstUnits: RegExp | undefined;

  /** @param contentOf what to look for: a token's content, or that after normalization. */
  constructor(tokens: readonly AddedToken[], contentOf: (token: AddedToken) => string = (token) => token.content) {
    for (const token of tokens) {
      const content = contentOf(token);
      const unit = content.charCodeAt(0);
      const list = this.#byFirstUnit.get(unit) ?? [];
      list.push({ content, token });
      this.#byFirstUnit.set(unit, list);
    }
    for (const list of this.#byFirstUnit.values()) list.sort((a, b) => b.content.length - a.content.length);
    const units = [...this.#byFirstUnit.keys()].map((unit) => `\\u${unit.toString(16).padStart(4, '0')}`);
    // No `u` flag: code units, so that the first half of a pair can be looked for.
    if (units.length > 0) this.#firstUnits = new RegExp(`[${units.join('')}]`, 'g');
  }

  get empty(): boolean {
    return this.#firstUnits === undefined;
  }

  /** Every place where a token starts, overlapping ones too. */
  *starts(text: string): Generator<{ index: number; length: number; token: AddedToken }> {
    if (this.#firstUnits === undefined) return;
    for (const { index } of text.matchAll(this.#firstUnits)) {
      const hit = this.#byFirstUnit.get(text.charCodeAt(index))?.find(({ content }) => text.startsWith(content, index));
      if (hit !== undefined) yield { index, length: hit.content.length, token: hit.token };
    }
  }

  /** Cuts a text into what the tokens are and what is between them. Covers the text but for stripped white space. */
  segments(text: string): Segment[] {
    const segments: Segment[] = [];
    let open = 0; // where the text not yet in a segment begins
    let searched = 0; // no match may begin before this
    for (const { index, length, token } of this.starts(text)) {
      if (index < searched) continue;
      let start = index;
      let end = index + length;
      searched = end;
      if (token.singleWord && (ENDS_IN_WORD.test(text.slice(Math.max(0, start - 2), start)) || STARTS_WITH_WORD.test(text.slice(end, end + 2)))) {
        continue;
      }
      // White space that the token before has taken can be a token too: Hugging Face's library gives both, and so do we.
      if (token.lstrip) while (start > open && WHITE_SPACE.test(text.charAt(start - 1))) start--;
      if (token.rstrip) while (end < text.length && WHITE_SPACE.test(text.charAt(end))) end++;
      if (start > open) segments.push({ id: -1, start: open, end: start });
      segments.push({ id: token.id, start, end });
      open = end;
    }
    if (open < text.length) segments.push({ id: -1, start: open, end: text.length });
    return segments;
  }
}
