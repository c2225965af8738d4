/**
 * The tokenizations BLEU is defined with, as sacreBLEU (Post, 2018) has them: mteval's 13a, zh (every Chinese character a
 * token, the rest as 13a), characters, and none. Their oddities are part of the definition and kept.
 */
import { strip, words } from './python-text.ts';

export type BleuTokenization = '13a' | 'zh' | 'char' | 'none';

/**
 * What sacreBLEU's zh takes for Chinese. Its two ranges meant for U+20000–U+2A6D6 and U+2F800–U+2FA1D are written with four
 * hex digits and a fifth character there, which makes them U+2001–U+2A6D and U+2F81–U+2FA1: quotation marks, dashes and the
 * ellipsis are separated, and characters beyond the basic plane are not.
 */
const CHINESE = new RegExp(
  '[\\u2001-\\u2a6d\\u2e80-\\u2fdf\\u2ff0-\\u303f\\u3100-\\u312f\\u31a0-\\u31bf\\u31c0-\\u31ef\\u3200-\\u33ff\\u3400-\\u4db5\\u4e00-\\u9fbb' +
    '\\uf900-\\ufa2d\\ufa30-\\ufa6a\\ufa70-\\ufad9\\ufe10-\\ufe1f\\ufe30-\\ufe4f\\uff00-\\uffef]', 'gu',
);

/** Symbols stand alone; a period or comma does unless digits are on both of its sides; a dash does after a digit. */
function separate(text: string): string[] {
  return words(text
    .replace(/[{-~[-` -&(-+:-@/]/gu, ' $& ')
    .replace(/([^0-9])([.,])/gu, '$1 $2 ')
    .replace(/([.,])([^0-9])/gu, ' $1 $2')
    .replace(/([0-9])(-)/gu, '$1 $2 '));
}

/** The tokens of one segment. */
export function bleuTokens(text: string, tokenization: BleuTokenization): string[] {
  switch (tokenization) {
    case '13a': {
      const plain = text
        .replaceAll('<skipped>', '').replaceAll('-\n', '').replaceAll('\n', ' ')
        .replaceAll('&quot;', '"').replaceAll('&amp;', '&').replaceAll('&lt;', '<').replaceAll('&gt;', '>');
      return separate(` ${plain} `);
    }
    case 'zh':
      return separate(strip(text).replace(CHINESE, ' $& '));
    case 'char':
      return words(Array.from(text).join(' '));
    case 'none':
      return words(text);
    default:
      return tokenization satisfies never;
  }
}
