/**
 * Hugging Face's `decoder` for models that are not byte-level. What it makes of a list of tokens is here what each token stands for, given
 * whether it is the first, so that text can be decoded as it comes. One difference is left: where bytes (`<0xE2>`) make no
 * character, there is one U+FFFD for each maximal prefix of one, as everywhere in Parley, not one for each byte.
 */
import { tokenToBytes } from './byte-alphabet.ts';
import { TokenizerFormatError } from './errors.ts';
import { Fields } from './fields.ts';
import { prependScheme } from './splitter.ts';
import type { PieceDecoder } from './text-model.ts';

/** Of byte-level models: tokens are bytes in GPT-2's alphabet. */
export const byteLevelDecoder: PieceDecoder = {
  // A token that no bytes could have made is text.
  bytes: (token, { isText }) => (isText ? undefined : tokenToBytes(token)) ?? new TextEncoder().encode(token),
  dependsOnPlace: false,
  blanksDropped: 0,
};

type Step = (text: string, first: boolean) => string;

interface Parsed {
  before: Step[];
  readonly after: Step[];
  hasBytes: boolean;
  isFused: boolean;
  dependsOnPlace: boolean;
  blanksDropped: number;
}

/** Reads a `decoder`; null puts a blank between tokens. @throws TokenizerFormatError for types and options that Parley does not do. */
export function parseDecoder(json: unknown): PieceDecoder {
  const parsed: Parsed = { before: [], after: [], hasBytes: false, isFused: false, dependsOnPlace: false, blanksDropped: 0 };
  if (json === null || json === undefined) {
    parsed.before.push((text, first) => (first ? text : ` ${text}`));
    parsed.dependsOnPlace = true;
  } else {
    read(json, 'decoder', parsed);
  }
  const { before, after, hasBytes, dependsOnPlace, blanksDropped } = parsed;
  const encoder = new TextEncoder();
  const bytes: PieceDecoder['bytes'] = (token, { first }) => {
    const text = before.reduce((result, step) => step(result, first), token);
    const byte = hasBytes ? /^<0x([0-9A-Fa-f]{2})>$/.exec(text)?.[1] : undefined;
    return byte === undefined ? encoder.encode(after.reduce((result, step) => step(result, first), text)) : Uint8Array.of(Number.parseInt(byte, 16));
  };
  return { bytes, dependsOnPlace, blanksDropped };
}

function read(json: unknown, path: string, parsed: Parsed): void {
  const fields = new Fields(json, path);
  const type = fields.string('type');
  const add = (step: Step): void => {
    if (parsed.isFused) throw new TokenizerFormatError(path, 'comes after Fuse, where Parley knows Strip alone');
    (parsed.hasBytes ? parsed.after : parsed.before).push(step);
  };
  switch (type) {
    case 'Sequence':
      fields.array('decoders').forEach((child, i) => read(child, `${path}.decoders[${i}]`, parsed));
      break;
    case 'Replace': {
      const pattern = fields.object('pattern');
      const from = pattern.string('String');
      pattern.finish();
      const to = fields.string('content');
      if (from === '') pattern.refuse('String', 'expected at least one character');
      add((text) => text.replaceAll(from, () => to));
      break;
    }
    case 'ByteFallback':
      parsed.hasBytes = true;
      break;
    case 'Fuse':
      parsed.isFused = true;
      break;
    case 'Strip': {
      const content = fields.string('content', ' ');
      const [start, stop] = [fields.integer('start'), fields.integer('stop')];
      if (content !== ' ' || stop !== 0 || !parsed.isFused) fields.refuse('type', 'Parley drops blanks from the beginning of the whole text, after Fuse');
      parsed.blanksDropped = start;
      break;
    }
    case 'Metaspace': {
      const replacement = fields.string('replacement', '▁');
      const dropsFirst = prependScheme(fields) !== 'never';
      fields.skip('split', 'str_rep');
      parsed.dependsOnPlace ||= dropsFirst;
      add((text, first) => text.replaceAll(replacement, first && dropsFirst ? '' : ' '));
      break;
    }
    case 'WordPiece': {
      const prefix = fields.string('prefix', '##');
      const cleans = fields.boolean('cleanup', true);
      parsed.dependsOnPlace = true;
      add((text, first) => {
        const joined = first ? text : prefix !== '' && text.startsWith(prefix) ? text.slice(prefix.length) : ` ${text}`;
        return cleans ? cleanUp(joined) : joined;
      });
      break;
    }
    default:
      fields.refuse('type', 'Parley knows ByteLevel, WordPiece, Metaspace, Replace, ByteFallback, Fuse, Strip and Sequence');
  }
  fields.finish();
}

/** Blanks before punctuation and English endings, which splitting put there. */
function cleanUp(text: string): string {
  return text.replaceAll(' .', '.').replaceAll(' ?', '?').replaceAll(' !', '!').replaceAll(' ,', ',').replaceAll(" ' ", "'").replaceAll(" n't", "n't")
    .replaceAll(" 'm", "'m").replaceAll(' do not', " don't").replaceAll(" 's", "'s").replaceAll(" 've", "'ve").replaceAll(" 're", "'re");
}
