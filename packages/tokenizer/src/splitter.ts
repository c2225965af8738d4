/**
 * Hugging Face's `pre_tokenizer` for models that are not byte-level: Metaspace (SentencePiece's ▁), BERT's splitting at white space and
 * punctuation, and the general ones, in any sequence.
 */
import { Fields } from './fields.ts';
import { type Behavior, BEHAVIORS, parseSplit, splitMatches } from './pre-tokenizer.ts';
import type { Splitter } from './text-model.ts';

type Step = (pieces: readonly string[], first: boolean) => string[];

const WHITE_SPACE = /\p{White_Space}+/gu;
/** ASCII that is neither letter, digit, white space nor control counts, whatever Unicode says of `$` or `+`. */
const PUNCTUATION = /[\p{P}!-/:-@[-`{-~]/gu;
/** `\w+|[^\w\s]+` of Rust's regex: letters, marks, decimal digits, connectors, joiners. */
const WORDS = /[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]+|[^\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}\p{White_Space}]+/gu;

/** Reads a `pre_tokenizer`; null leaves the text whole. @throws TokenizerFormatError for types and options that have no exact counterpart here. */
export function parseSplitter(json: unknown, path = 'pre_tokenizer'): Splitter {
  if (json === null || json === undefined) return (text) => [text];
  const step = parseStep(json, path);
  return (text, first) => step([text], first);
}

function parseStep(json: unknown, path: string): Step {
  const fields = new Fields(json, path);
  const type = fields.string('type');
  const step = stepOf(type, fields);
  fields.finish();
  return step;
}

function stepOf(type: string, fields: Fields): Step {
  const each = (split: (piece: string) => string[]): Step => (pieces) => pieces.flatMap(split);
  switch (type) {
    case 'Sequence': {
      const steps = fields.array('pretokenizers').map((child, i) => parseStep(child, fields.at(`pretokenizers[${i}]`)));
      return (pieces, first) => steps.reduce((result: readonly string[], step) => step(result, first), pieces) as string[];
    }
    case 'Metaspace':
      return metaspace(fields);
    case 'BertPreTokenizer':
      return each((piece) => splitMatches(piece, WHITE_SPACE, 'Removed', false).flatMap((word) => splitMatches(word, PUNCTUATION, 'Isolated', false)));
    case 'Whitespace':
      return each((piece) => splitMatches(piece, WORDS, 'Removed', true));
    case 'WhitespaceSplit':
      return each((piece) => splitMatches(piece, WHITE_SPACE, 'Removed', false));
    case 'Punctuation': {
      const behavior = fields.string('behavior', 'Isolated');
      if (!BEHAVIORS.includes(behavior)) fields.refuse('behavior', `expected one of ${BEHAVIORS.join(', ')}`);
      return each((piece) => splitMatches(piece, PUNCTUATION, behavior as Behavior, false));
    }
    case 'Digits': {
      const behavior = fields.boolean('individual_digits', false) ? 'Isolated' : 'Contiguous';
      return each((piece) => splitMatches(piece, /\p{N}/gu, behavior, false));
    }
    case 'Split': {
      const { pattern, behavior, invert } = parseSplit(fields);
      return each((piece) => splitMatches(piece, pattern, behavior, invert));
    }
    default:
      return fields.refuse('type', 'Parley knows Metaspace, BertPreTokenizer, Whitespace, WhitespaceSplit, Punctuation, Digits, Split and Sequence');
  }
}

/** Where Metaspace puts a ▁ in front: nowhere, at the beginning of the text, or of every piece between added tokens. */
export type PrependScheme = 'never' | 'first' | 'always';

/** Older files say `add_prefix_space` instead. */
export function prependScheme(fields: Fields): PrependScheme {
  const old = fields.boolean('add_prefix_space', true);
  const scheme = fields.string('prepend_scheme', old ? 'always' : 'never');
  if (scheme !== 'never' && scheme !== 'first' && scheme !== 'always') fields.refuse('prepend_scheme', 'expected "never", "first" or "always"');
  return scheme;
}

function metaspace(fields: Fields): Step {
  const replacement = fields.string('replacement', '▁');
  if (Array.from(replacement).length !== 1) fields.refuse('replacement', 'expected one character');
  if (fields.string('str_rep', replacement) !== replacement) fields.refuse('str_rep', 'expected the same as replacement');
  const scheme = prependScheme(fields);
  const splits = fields.boolean('split', true);
  const mark = new RegExp(`\\u{${(replacement.codePointAt(0) as number).toString(16)}}`, 'gu');
  return (pieces, first) =>
    pieces.flatMap((piece, i) => {
      let text = piece.replaceAll(' ', replacement);
      const begins = scheme === 'always' || (scheme === 'first' && first && i === 0);
      if (begins && !text.startsWith(replacement)) text = replacement + text;
      return splits ? splitMatches(text, mark, 'MergedWithNext', false) : [text];
    });
}
