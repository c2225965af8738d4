/** How many columns of a terminal a text takes: Chinese, Japanese, Korean and emoji take two, combining marks none. */

const segmenter = new Intl.Segmenter('en', { granularity: 'grapheme' });
/** East Asian wide and full-width (Unicode 16, EastAsianWidth.txt), without the emoji, which have a property of their own. */
const WIDE = /[\u1100-\u115F\u2329\u232A\u2E80-\u303E\u3041-\u3247\u3250-\u4DBF\u4E00-\uA4CF\uA960-\uA97F\uAC00-\uD7A3\uF900-\uFAFF\uFE10-\uFE19\uFE30-\uFE6F\uFF01-\uFF60\uFFE0-\uFFE6\u{16FE0}-\u{18D08}\u{1AFF0}-\u{1B2FB}\u{1F200}-\u{1F265}\u{20000}-\u{3FFFD}]|\p{Emoji_Presentation}/u;
const NOTHING = /^[\p{Mn}\p{Me}\p{Cc}\p{Cf}\u1160-\u11FF]+$/u;
const SIMPLE = /^[\u0020-\u007E\u2500-\u259F\u2800-\u28FF]*$/;

/** Columns of one grapheme. */
function graphemeWidth(grapheme: string): number {
  if (NOTHING.test(grapheme)) return 0;
  return WIDE.test(grapheme) || grapheme.includes('\uFE0F') ? 2 : 1;
}

export function displayWidth(text: string): number {
  if (SIMPLE.test(text)) return text.length;
  let width = 0;
  for (const { segment } of segmenter.segment(text)) width += graphemeWidth(segment);
  return width;
}

/** The beginning of a text that fits, with … where something is left out. Never half a character. */
export function fit(text: string, columns: number): string {
  if (columns <= 0) return '';
  if (displayWidth(text) <= columns) return text;
  let out = '';
  let width = 0;
  for (const { segment } of segmenter.segment(text)) {
    width += graphemeWidth(segment);
    if (width > columns - 1) break;
    out += segment;
  }
  return `${out.trimEnd()}…`;
}

/** Lines of at most `columns`, broken at spaces and between wide characters; at most `most` lines, the last one cut with …. */
export function wrap(text: string, columns: number, most: number): string[] {
  const lines: string[] = [];
  let rest = text.trim();
  while (rest !== '' && lines.length < most) {
    if (displayWidth(rest) <= columns || lines.length === most - 1) {
      lines.push(fit(rest, columns));
      break;
    }
    let width = 0;
    let end = 0;
    let breakable = 0;
    for (const { segment, index } of segmenter.segment(rest)) {
      const own = graphemeWidth(segment);
      if (segment === ' ' || (own === 2 && index > 0)) breakable = index;
      if (width + own > columns) break;
      width += own;
      end = index + segment.length;
    }
    const cut = breakable > 0 ? breakable : Math.max(end, 1);
    lines.push(rest.slice(0, cut).trimEnd());
    rest = rest.slice(cut).trimStart();
  }
  return lines;
}

/** A text that somebody else wrote, without what would move the cursor, change colours or turn the direction of what follows. */
export function printable(text: string): string {
  // oxlint-disable-next-line no-control-regex -- these are what is taken out
  return text.replaceAll(/\r\n?/g, '\n').replaceAll(/[\u0000-\u0008\u000B-\u001F\u007F-\u009F\u061C\u200E\u200F\u202A-\u202E\u2066-\u2069]/g, '').replaceAll('\t', ' ');
}

/** The same on one line. */
export const oneLine = (text: string): string => printable(text).replaceAll(/\s+/g, ' ').trim();
