/**
 * HTML to text. Of a page: its main text, which is what stands in <main> or <article> where there is one, without navigation,
 * scripts, forms and blocks that are mostly links (after the shallow-text heuristics of Kohlschütter et al., "Boilerplate
 * Detection using Shallow Text Features", WSDM 2010: link density and text length of a block). Of a text with tags in it: the text.
 *
 * A scanner, not a parser: what it does not understand stays text.
 */
import { decodeEntities } from './entities.ts';

const words = (text: string): ReadonlySet<string> => new Set(text.split(' '));
/** With all that is inside. */
const DROPPED = words('script style noscript template svg math head nav footer aside form button select option textarea iframe object canvas audio video map dialog menu');
/** What is inside is no markup, so they do not nest. */
const RAW = words('script style textarea');
const BLOCKS = words(
  'address article blockquote body caption center dd details dir div dl dt fieldset figcaption figure footer h1 h2 h3 h4 h5 h6 header hr html legend li main nav ol p pre section summary table tbody td tfoot th thead tr ul',
);
const INLINE = words('a abbr acronym b bdi bdo big br cite code data del dfn em font i img input ins kbd label link mark meta q rb rp rt ruby s samp small source span strike strong sub sup time track tt u var wbr col colgroup area base embed param');
const TAG = /<!--[\s\S]*?(?:-->|$)|<!\[CDATA\[([\s\S]*?)\]\]>|<[!?][^>]*>|<(\/?)([A-Za-z][\w:-]*)((?:\s+(?:"[^"]*"|'[^']*'|[^<>"'])*|\/)?)>/g;

interface Block {
  text: string;
  /** Characters of it inside links. */
  linked: number;
  /** What the block is set in. */
  tag: string;
}

/** The main text of a page, paragraphs apart. Empty where there is none. */
export function pageText(html: string): string {
  for (const within of ['main', 'article']) {
    const inside = elements(html, within).map((part) => blocksText(blocks(part))).filter((text) => text !== '');
    if (inside.join('').length >= 200) return inside.join('\n\n');
  }
  const text = blocksText(blocks(html));
  // A page that is nothing but links, or one whose <nav> is never closed, still says something.
  return text === '' ? stripTags(elements(html, 'body')[0] ?? html).trim() : text;
}

/** The contents of the outermost elements of a name. */
function elements(html: string, name: string): string[] {
  const found: string[] = [];
  let depth = 0;
  let start = 0;
  for (const match of html.matchAll(new RegExp(`<(/?)${name}(?=[\\s>])[^>]*>`, 'gi'))) {
    if (match[1] === '') {
      if (depth++ === 0) start = match.index + match[0].length;
    } else if (depth > 0 && --depth === 0) {
      found.push(html.slice(start, match.index));
    }
  }
  if (depth > 0) found.push(html.slice(start));
  return found;
}

/** The blocks of text, those inside dropped elements left out. */
function blocks(html: string): Block[] {
  const done: Block[] = [];
  let block: Block = { text: '', linked: 0, tag: '' };
  let dropping: { tag: string; depth: number } | null = null;
  let links = 0;
  let verbatim = 0;
  let at = 0;
  const end = (tag: string): void => {
    if (block.text.trim() !== '') done.push(block);
    block = { text: '', linked: 0, tag };
  };
  const say = (raw: string): void => {
    if (dropping !== null || raw === '') return;
    const decoded = decodeEntities(raw);
    const text = verbatim > 0 ? decoded : decoded.replace(/[ \t\r\n\f]+/g, ' ');
    block.text += verbatim === 0 && (block.text === '' || block.text.endsWith(' ') || block.text.endsWith('\n')) ? text.trimStart() : text;
    if (links > 0) block.linked += text.trim().length;
  };
  for (const match of html.matchAll(TAG)) {
    say(html.slice(at, match.index));
    at = match.index + match[0].length;
    const [, cdata, closing, name] = match;
    if (cdata !== undefined) say(cdata);
    if (name === undefined) continue;
    const tag = name.toLowerCase();
    if (dropping !== null) {
      if (tag === dropping.tag) dropping.depth += closing === '/' ? -1 : RAW.has(tag) ? 0 : 1;
      if (dropping.depth === 0) dropping = null;
      continue;
    }
    if (DROPPED.has(tag)) {
      end(tag);
      if (closing === '' && !match[0].endsWith('/>')) dropping = { tag, depth: 1 };
    } else if (tag === 'br') breakLine('\n');
    else if (tag === 'a') links = closing === '/' ? Math.max(0, links - 1) : 1;
    else if (tag === 'pre') {
      end(closing === '/' ? '' : tag);
      verbatim = closing === '/' ? 0 : 1;
    } else if (tag === 'td' || tag === 'th') {
      if (closing === '' && block.text !== '' && !block.text.endsWith('\n')) breakLine(' | ');
    } else if (BLOCKS.has(tag)) end(closing === '/' ? '' : tag);
  }
  say(html.slice(at));
  end('');
  return done;

  function breakLine(text: string): void {
    if (dropping === null) block.text = block.text.trimEnd() + text;
  }
}

function blocksText(all: readonly Block[]): string {
  const kept = all.filter(({ text, linked, tag }) => {
    const length = text.trim().length;
    // Menus, "read also", tags: links with little around them. A heading may be a link.
    return /^h[1-6]$/.test(tag) || linked / length < (length < 80 ? 0.5 : 0.8);
  });
  let joined = '';
  for (const [index, { text, tag }] of kept.entries()) {
    const inList = tag === 'li' || tag === 'dd';
    const before = index === 0 ? '' : (inList || tag === 'tr') && kept[index - 1]?.tag === tag ? '\n' : '\n\n';
    joined += before + (tag === 'li' ? `- ${text.trim()}` : tag === 'pre' ? text.replace(/^\n+|\s+$/g, '') : text.trim().replace(/[ \t]+\n/g, '\n'));
  }
  return joined;
}

/**
 * A text without HTML's tags, comments and character references: known tags only, so that `a < b > c` and `List<String>` stay.
 * Blocks and <br> become line ends; scripts and styles go with what is inside.
 */
export function stripTags(text: string): string {
  if (!/[<&]/.test(text)) return text;
  const stripped = text
    .replace(/<(script|style|svg|noscript|template)\b[^>]*>[\s\S]*?<\/\1\s*>/gi, '')
    .replace(TAG, (match, cdata: string | undefined, _closing: string | undefined, name: string | undefined) => {
      if (cdata !== undefined) return cdata;
      if (name === undefined) return match.startsWith('<!--') || /^<!doctype/i.test(match) ? '' : match;
      const tag = name.toLowerCase();
      if (tag === 'br' || tag === 'hr') return '\n';
      if (BLOCKS.has(tag) || DROPPED.has(tag)) return tag === 'td' || tag === 'th' ? ' ' : '\n';
      return INLINE.has(tag) ? '' : match;
    });
  return decodeEntities(stripped);
}
