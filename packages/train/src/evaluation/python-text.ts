/** Python's notion of white space and punctuation, which published metrics are defined by and JavaScript's differs from. */

/** What str.split() and str.strip() take for white space. U+FEFF is not among it; U+001C–U+001F and U+0085 are. */
const SPACE = '\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000';
const SPACES = new RegExp(`[${SPACE}]+`, 'u');
const EDGES = new RegExp(`^[${SPACE}]+|[${SPACE}]+$`, 'gu');
const END = new RegExp(`[${SPACE}]+$`, 'u');

/** str.split(): the words, none of them empty. */
export function words(text: string): string[] {
  return text.split(SPACES).filter((word) => word !== '');
}

export const strip = (text: string): string => text.replace(EDGES, '');
export const stripEnd = (text: string): string => text.replace(END, '');

/** string.punctuation: ASCII's. */
export const PUNCTUATION: ReadonlySet<string> = new Set('!"#$%&\'()*+,-./:;<=>?@[\\]^_`{|}~');
