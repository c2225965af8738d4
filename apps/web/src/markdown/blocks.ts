/**
 * Markdown (GitHub's, with math) as blocks, and the blocks of a text that grows. Growing by a token reads only the last two blocks again:
 * the ones before stay the very objects they were, so that whoever draws them may skip them.
 */
import { Lexer, Marked, type Token, type TokenizerExtension, type Tokens } from 'marked';

export interface MathToken {
  readonly type: 'blockMath' | 'inlineMath';
  readonly raw: string;
  readonly tex: string;
  /** Whether it stands on its own line. */
  readonly display: boolean;
}

export interface Block {
  readonly token: Token;
  /** Where it begins in the text. */
  readonly start: number;
}

// $…$ only where the dollars cling to the formula and no digit follows (pandoc's rule): “$5 and $6” is money.
const INLINE = /^(?:\$\$([^$]+?)\$\$|\$(?![\s$])((?:\\.|[^\\$\n])*?(?:\\.|[^\\$\s]))\$(?!\d)|\\\(([\s\S]+?)\\\)|\\\[([\s\S]+?)\\\])/;
const BLOCK = /^(?: {0,3})(?:\$\$([\s\S]+?)\$\$|\\\[([\s\S]+?)\\\])[ \t]*(?:\n|$)/;

const inlineMath: TokenizerExtension = {
  name: 'inlineMath',
  level: 'inline',
  start: (source) => {
    const at = source.search(/\$|\\[([]/);
    return at < 0 ? undefined : at;
  },
  tokenizer: (source) => {
    const match = INLINE.exec(source);
    if (match === null) return undefined;
    const [raw, doubled, single, round, square] = match;
    return { type: 'inlineMath', raw, tex: doubled ?? single ?? round ?? square ?? '', display: doubled !== undefined || square !== undefined };
  },
};

const blockMath: TokenizerExtension = {
  name: 'blockMath',
  level: 'block',
  start: (source) => {
    const at = source.search(/(?:^|\n) {0,3}(?:\$\$|\\\[)/);
    return at < 0 ? undefined : at;
  },
  tokenizer: (source) => {
    const match = BLOCK.exec(source);
    if (match === null) return undefined;
    return { type: 'blockMath', raw: match[0], tex: match[1] ?? match[2] ?? '', display: true };
  },
};

// Lines are kept as they were written: models write verse and lists of facts line by line, and between Chinese lines a space would be wrong.
const marked = new Marked({ gfm: true, breaks: true, extensions: [blockMath, inlineMath] });

const lex = (source: string): readonly Token[] => new Lexer(marked.defaults).lex(source);

/** The lexer's own first step, taken here so that positions in the text stay true. */
export const normalize = (source: string): string => source.replace(/\r\n|\r/g, '\n');

function blocksFrom(source: string, start: number): Block[] {
  const blocks: Block[] = [];
  let at = start;
  for (const token of lex(source.slice(start))) {
    if (token.type !== 'space') blocks.push({ token, start: at });
    at += token.raw.length;
  }
  return blocks;
}

export const blocksOf = (source: string): readonly Block[] => blocksFrom(normalize(source), 0);

/** Blocks at the end that what follows may still change: the last, and one before it for good measure. */
const OPEN_BLOCKS = 2;

export class GrowingMarkdown {
  #source = '';
  #blocks: readonly Block[] = [];

  /** The blocks of a text, which is usually the last one and something more. */
  update(text: string): readonly Block[] {
    const source = normalize(text);
    if (source === this.#source) return this.#blocks;
    const grown = source.startsWith(this.#source);
    const kept = grown ? this.#blocks.slice(0, Math.max(0, this.#blocks.length - OPEN_BLOCKS)) : [];
    const from = grown ? this.#blocks[kept.length]?.start ?? 0 : 0;
    const before = new Map(this.#blocks.slice(kept.length).map((block) => [block.start, block]));
    const fresh = blocksFrom(source, from).map((block) => {
      const old = before.get(block.start);
      return old?.token.raw === block.token.raw && old.token.type === block.token.type ? old : block;
    });
    this.#source = source;
    this.#blocks = [...kept, ...fresh];
    return this.#blocks;
  }
}

/**
 * What closes the marks that the end of a growing text has left open, so that `**bo` is drawn bold from its first letter instead of
 * turning bold when the closing stars come. Looks at the last line only, and leaves code blocks alone.
 */
export function closing(text: string): string {
  const fences = text.match(/^ {0,3}(?:```|~~~)/gm)?.length ?? 0;
  if (fences % 2 === 1) return '';
  const line = text.slice(text.lastIndexOf('\n') + 1);
  const open: string[] = [];
  for (let at = 0; at < line.length;) {
    const rest = line.slice(at);
    const mark = /^(?:\\.|`+|\*{1,3}|~~|_{1,2})/.exec(rest)?.[0];
    if (mark === undefined || mark.startsWith('\\')) {
      at += mark?.length ?? 1;
      continue;
    }
    const top = open.at(-1);
    const inCode = top?.startsWith('`') === true;
    const before = line[at - 1] ?? ' ';
    const after = line[at + mark.length] ?? '';
    if (mark === top) open.pop();
    else if (!inCode && opens(mark, before, after)) open.push(mark);
    at += mark.length;
  }
  // A mark at the very end has nothing to hold yet.
  const last = open.at(-1);
  if (last !== undefined && line.endsWith(last)) return '';
  return open.reverse().join('');
}

function opens(mark: string, before: string, after: string): boolean {
  if (after === '' || /\s/.test(after)) return false;
  if (mark.startsWith('_')) return !/[\p{L}\p{N}]/u.test(before);
  return true;
}

export type { Token, Tokens };
