/** Hugging Face's `normalizer`: what is done to text before it is split. */
import { Fields } from './fields.ts';
import { translatePattern } from './pattern.ts';
import { parsePrecompiled } from './precompiled.ts';

export type Normalizer = (text: string) => string;

const FORMS: readonly string[] = ['NFC', 'NFD', 'NFKC', 'NFKD'];

/**
 * Reads a `normalizer`; undefined is none.
 * @throws TokenizerFormatError for types and options that Parley does not do: text would be tokenized differently.
 */
export function parseNormalizer(json: unknown, path = 'normalizer'): Normalizer | undefined {
  if (json === null || json === undefined) return undefined;
  const fields = new Fields(json, path);
  const type = fields.string('type');
  const normalizer = normalizerOf(type, fields);
  fields.finish();
  return normalizer;
}

function normalizerOf(type: string, fields: Fields): Normalizer | undefined {
  switch (type) {
    case 'Sequence': {
      const steps = fields.array('normalizers').map((child, i) => parseNormalizer(child, fields.at(`normalizers[${i}]`)));
      return steps.length === 0 ? undefined : (text) => steps.reduce((result, step) => step?.(result) ?? result, text);
    }
    case 'Lowercase':
      return lowercase;
    case 'StripAccents':
      return (text) => text.replace(/\p{M}/gu, '');
    case 'Strip': {
      const [left, right] = [fields.boolean('strip_left', true), fields.boolean('strip_right', true)];
      return (text) => (right ? (left ? text.replace(/^\p{White_Space}+/u, '') : text).replace(/\p{White_Space}+$/u, '') : left ? text.replace(/^\p{White_Space}+/u, '') : text);
    }
    case 'Prepend': {
      const prefix = fields.string('prepend');
      return (text) => (text === '' ? text : prefix + text);
    }
    case 'Replace':
      return replace(fields);
    case 'Precompiled': {
      // Files of models that need no table have it empty.
      const table = (fields.get('precompiled_charsmap') ?? '') === '' ? undefined : fields.string('precompiled_charsmap');
      return table === undefined ? undefined : parsePrecompiled(table, fields.at('precompiled_charsmap'));
    }
    case 'BertNormalizer':
      return bert(fields);
    default:
      if (FORMS.includes(type)) return (text) => text.normalize(type);
      return fields.refuse('type', `Parley knows ${FORMS.join(', ')}, BertNormalizer, Lowercase, Precompiled, Prepend, Replace, Strip, StripAccents and Sequence`);
  }
}

/** Character by character, as Rust does it: JavaScript would write the sigma at a word's end differently. */
const lowercase = (text: string): string => text.replace(/[^\0-@[-`{-\x7f]/gu, (character) => character.toLowerCase());

function replace(fields: Fields): Normalizer {
  const pattern = fields.object('pattern');
  const regex = pattern.get('Regex');
  const text = pattern.get('String');
  pattern.finish();
  const content = fields.string('content');
  if (typeof regex === 'string' && text === undefined) {
    const compiled = translatePattern(regex, pattern.at('Regex'));
    return (value) => value.replace(compiled, () => content);
  }
  if (typeof text !== 'string' || text === '' || regex !== undefined) fields.refuse('pattern', 'expected {"Regex": …} or {"String": …}');
  return (value) => value.replaceAll(text, () => content);
}

const CHINESE = /[\u4e00-\u9fff\u3400-\u4dbf\u{20000}-\u{2a6df}\u{2a700}-\u{2b73f}\u{2b740}-\u{2b81f}\u{2b920}-\u{2ceaf}\uf900-\ufaff\u{2f800}-\u{2fa1f}]/gu;

/** Devlin et al., 2018: no control characters, plain blanks, Chinese characters as words of their own, no accents, lower case. */
function bert(fields: Fields): Normalizer {
  const cleans = fields.boolean('clean_text', true);
  const splitsChinese = fields.boolean('handle_chinese_chars', true);
  const lowers = fields.boolean('lowercase', true);
  const strips = fields.boolean('strip_accents', lowers);
  return (text) => {
    let result = text;
    if (cleans) result = result.replace(/(?![\t\n\r])[\0\ufffd\p{Cc}\p{Cf}\p{Cs}\p{Co}]/gu, '').replace(/\p{White_Space}/gu, ' ');
    if (splitsChinese) result = result.replace(CHINESE, ' $& ');
    if (strips) result = result.normalize('NFD').replace(/\p{Mn}/gu, '');
    return lowers ? lowercase(result) : result;
  };
}
