/**
 * Splits text into the words within which pairs are merged: Hugging Face's `pre_tokenizer` for byte-level models, a
 * `ByteLevel` alone or a `Sequence` of `Split` and `Digits` that ends in one. The common combinations run on the
 * scanners; any other runs stage by stage, as written.
 */
import { TokenizerFormatError } from './errors.ts';
import { Fields } from './fields.ts';
import { translatePattern } from './pattern.ts';
import { GPT2_PATTERN, GPT4_PATTERN, gpt2Scanner, gpt4Scanner, QWEN2_PATTERN, type Scanner } from './scanners.ts';

export type SplitPattern = 'gpt2' | 'gpt4';

export type Behavior = 'Removed' | 'Isolated' | 'MergedWithPrevious' | 'MergedWithNext' | 'Contiguous';
export const BEHAVIORS: readonly string[] = ['Removed', 'Isolated', 'MergedWithPrevious', 'MergedWithNext', 'Contiguous'] satisfies Behavior[];

/** A `Split`. */
type Split = Extract<Stage, { type: 'split' }>;

type Stage =
  | { type: 'split'; pattern: RegExp; source: string; behavior: Behavior; invert: boolean }
  | { type: 'digits'; individual: boolean }
  | { type: 'prefixSpace' };

/** Calls `word(text, start, end)` for every word in order; `text` is the piece given, or a changed copy of part of it. */
export interface PreTokenizer {
  /** Set when words are exactly what this scanner finds. */
  readonly scanner: Scanner | undefined;
  /** The piece is well-formed UTF-16. */
  split(piece: string, word: (text: string, start: number, end: number) => void): void;
}

/** The `pre_tokenizer` that Parley writes for its own tokenizers. */
export function preTokenizerJSON(pattern: SplitPattern): object {
  const byteLevel = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true };
  if (pattern === 'gpt2') return { ...byteLevel, use_regex: true };
  return {
    type: 'Sequence',
    pretokenizers: [
      { type: 'Split', pattern: { Regex: GPT4_PATTERN }, behavior: 'Isolated', invert: false },
      { ...byteLevel, use_regex: false },
    ],
  };
}

/**
 * Reads a `pre_tokenizer`.
 * @throws TokenizerFormatError for types, options and patterns that have no exact counterpart here.
 */
export function parsePreTokenizer(json: unknown, path = 'pre_tokenizer'): PreTokenizer {
  const stages: Stage[] = [];
  let endsInBytes = false;
  const read = (value: unknown, at: string): void => {
    if (endsInBytes) throw new TokenizerFormatError(at, 'comes after ByteLevel: Parley reads pre-tokenizers that end in it');
    const fields = new Fields(value, at);
    const type = fields.string('type');
    if (type === 'Sequence') {
      fields.array('pretokenizers').forEach((child, i) => read(child, `${at}.pretokenizers[${i}]`));
    } else if (type === 'Split') {
      stages.push(parseSplit(fields));
    } else if (type === 'Digits') {
      stages.push({ type: 'digits', individual: fields.boolean('individual_digits', false) });
    } else if (type === 'ByteLevel') {
      if (fields.boolean('add_prefix_space', true)) stages.push({ type: 'prefixSpace' });
      if (fields.boolean('use_regex', true)) {
        stages.push({ type: 'split', pattern: translatePattern(GPT2_PATTERN), source: GPT2_PATTERN, behavior: 'Isolated', invert: false });
      }
      fields.skip('trim_offsets'); // about offsets, which Parley does not return
      endsInBytes = true;
    } else {
      fields.refuse('type', 'Parley knows Sequence, Split, Digits and ByteLevel');
    }
    fields.finish();
  };
  if (json === null || json === undefined) {
    throw new TokenizerFormatError(path, 'is absent: a byte-level model has a pre-tokenizer that ends in ByteLevel');
  }
  read(json, path);
  if (!endsInBytes) throw new TokenizerFormatError(path, 'has no ByteLevel: Parley reads byte-level models');
  const scanner = scannerFor(stages);
  return { scanner, split: scanner === undefined ? splitByStages(stages) : splitByScanner(scanner) };
}

/** The fields of a `Split` but its type. @throws TokenizerFormatError. */
export function parseSplit(fields: Fields): Split {
  const pattern = fields.object('pattern');
  const regex = pattern.get('Regex');
  const text = pattern.get('String');
  pattern.finish();
  const behavior = fields.string('behavior');
  if (!BEHAVIORS.includes(behavior)) fields.refuse('behavior', `expected one of ${BEHAVIORS.join(', ')}`);
  const invert = fields.boolean('invert', false);
  if (typeof regex === 'string' && text === undefined) {
    const compiled = translatePattern(regex, pattern.at('Regex'));
    return { type: 'split', pattern: compiled, source: regex, behavior: behavior as Behavior, invert };
  }
  if (typeof text !== 'string' || regex !== undefined) fields.refuse('pattern', 'expected {"Regex": …} or {"String": …}');
  const escaped = Array.from(text, (character) => `\\u{${(character.codePointAt(0) as number).toString(16)}}`).join('');
  return { type: 'split', pattern: new RegExp(escaped, 'gu'), source: '', behavior: behavior as Behavior, invert };
}

/** The scanner that does all of these stages at once, where there is one. */
function scannerFor(stages: readonly Stage[]): Scanner | undefined {
  const [first, second] = stages;
  if (first === undefined) return (_, __, end) => end;
  if (first.type === 'digits' && second?.type === 'split' && stages.length === 2) {
    return coversAll(second) && second.source === GPT2_PATTERN ? gpt2Scanner(first.individual ? 'single' : 'run') : undefined;
  }
  if (first.type !== 'split' || stages.length !== 1 || !coversAll(first)) return undefined;
  if (first.source === GPT2_PATTERN) return gpt2Scanner('words');
  if (first.source === GPT4_PATTERN) return gpt4Scanner(3);
  return first.source === QWEN2_PATTERN ? gpt4Scanner(1) : undefined;
}

/** The known patterns match every character, so what is between matches is empty, and each match is a word. */
const coversAll = ({ behavior, invert }: Split): boolean =>
  behavior === 'Isolated' || (behavior === 'Removed' && invert);

function splitByScanner(scanner: Scanner): PreTokenizer['split'] {
  return (piece, word) => {
    for (let start = 0; start < piece.length;) {
      const end = scanner(piece, start, piece.length);
      word(piece, start, end);
      start = end;
    }
  };
}

function splitByStages(stages: readonly Stage[]): PreTokenizer['split'] {
  return (piece, word) => {
    let pieces = [piece];
    for (const stage of stages) pieces = pieces.flatMap((text) => applyStage(stage, text));
    for (const text of pieces) word(text, 0, text.length);
  };
}

/** The words of one stage, by the slow and obvious way. Exported as the scanners' oracle. */
export function applyStage(stage: Stage, text: string): string[] {
  switch (stage.type) {
    case 'prefixSpace':
      return text.startsWith(' ') ? [text] : [` ${text}`];
    case 'digits':
      return splitMatches(text, /\p{N}/gu, stage.individual ? 'Isolated' : 'Contiguous', false);
    case 'split':
      return splitMatches(text, stage.pattern, stage.behavior, stage.invert);
  }
}

/**
 * Cuts a text at the matches of a pattern. Removed drops them, Isolated makes each a piece, MergedWithPrevious and
 * MergedWithNext glue each to its neighbour, Contiguous joins neighbouring matches. `invert` swaps matches and the rest.
 */
export function splitMatches(text: string, pattern: RegExp, behavior: Behavior, invert: boolean): string[] {
  const spans: { start: number; end: number; match: boolean }[] = [];
  let last = 0;
  for (const found of text.matchAll(pattern)) {
    if (found.index > last) spans.push({ start: last, end: found.index, match: invert });
    last = found.index + found[0].length;
    if (found[0] !== '') spans.push({ start: found.index, end: last, match: !invert });
  }
  if (last < text.length) spans.push({ start: last, end: text.length, match: invert });

  const cut = (list: readonly { start: number; end: number }[]): string[] => list.map(({ start, end }) => text.slice(start, end));
  switch (behavior) {
    case 'Isolated':
      return cut(spans);
    case 'Removed':
      return cut(spans.filter(({ match }) => !match));
    case 'Contiguous':
      return cut(glue(spans, (span, previous) => span.match === previous.match));
    case 'MergedWithPrevious':
      return cut(glue(spans, (span, previous) => span.match && !previous.match));
    case 'MergedWithNext': {
      const mirrored = spans.map(({ start, end, match }) => ({ start: -end, end: -start, match })).reverse();
      const glued = glue(mirrored, (span, previous) => span.match && !previous.match);
      return cut(glued.map(({ start, end }) => ({ start: -end, end: -start })).reverse());
    }
  }
}

/** Joins a span to what is before it where `joins` says so of it and the span before it. */
function glue<T extends { start: number; end: number; match: boolean }>(
  spans: readonly T[],
  joins: (span: T, previous: T) => boolean,
): { start: number; end: number }[] {
  const glued: { start: number; end: number }[] = [];
  spans.forEach((span, i) => {
    const previous = spans[i - 1];
    const open = glued.at(-1);
    if (previous !== undefined && open !== undefined && joins(span, previous)) open.end = span.end;
    else glued.push({ start: span.start, end: span.end });
  });
  return glued;
}
