/**
 * The two kinds of files that the seed conversations are written in.
 *
 * A table (`tables/NAME.txt`): a first line of column names, then a row a line, cells separated by ` | `; `-` is an empty cell.
 *
 * A talk (`talk/NAME.txt`): blocks separated by empty lines. A block holds one exchange, in English, Chinese or both:
 *
 *     @ each=capitals n=3              optional: for every row of a table, n conversations (draw=100: that many random rows)
 *     Q: What is the capital of {capitals.en}? | {capitals.en}'s capital[?/ please]
 *     A: The capital of {capitals.en} is {capitals.en_city}.
 *     Q: And {capitals2.en}?           a Q after an A is the next turn
 *     A: {capitals2.en_city}.
 *     问：{capitals.zh}的首都是哪里？
 *     答：{capitals.zh}的首都是{capitals.zh_city}。
 *
 * Wordings are separated by ` | ` or stand on several lines; `[a/b/]` is a choice within one. `{table.column}` is a cell of the
 * row drawn for this conversation, `{table2.column}` of another row. Filters: `:a` puts "a" or "an" before, `:cap` a capital,
 * `:low` none. `A(zh):` answers an English question in Chinese, `答(en)：` the other way round. `#` begins a comment.
 */

export type Language = 'en' | 'zh';

export interface Turn {
  readonly asked: readonly string[];
  readonly answers: readonly string[];
  /** The language of the answers. */
  readonly language: Language;
}

export interface Exchange {
  readonly language: Language;
  readonly turns: readonly Turn[];
}

export interface Block {
  readonly topic: string;
  readonly line: number;
  readonly exchanges: readonly Exchange[];
  /** Go through this table. */
  readonly each: string | null;
  /** So many random rows. */
  readonly draw: number | null;
  /** Conversations for each row, or in all. */
  readonly n: number | null;
  /** Keep the user's words as they are: no lower case, no politeness. */
  readonly plain: boolean;
}

export type Row = Readonly<Record<string, string>>;
export type Tables = ReadonlyMap<string, readonly Row[]>;

export class FormatError extends Error {
  constructor(topic: string, line: number, message: string) {
    super(`${topic}, line ${line}: ${message}`);
    this.name = 'FormatError';
  }
}

export function parseTable(name: string, text: string): Row[] {
  const lines = text.split('\n').map((line, at) => ({ line: line.trim(), at: at + 1 })).filter(({ line }) => line !== '' && !line.startsWith('#'));
  const [head, ...rows] = lines;
  if (head === undefined) throw new FormatError(name, 1, 'a table begins with the names of its columns');
  const columns = head.line.split('|').map((cell) => cell.trim());
  return rows.map(({ line, at }) => {
    const cells = line.split('|').map((cell) => cell.trim());
    if (cells.length !== columns.length) throw new FormatError(name, at, `has ${cells.length} cells where ${columns.join(', ')} are wanted: ${line}`);
    return Object.fromEntries(columns.map((column, i) => [column, cells[i] === '-' ? '' : (cells[i] ?? '')]));
  });
}

const SPEAKERS = /^(Q|A|A\(zh\)|问|答|答\(en\))(?:: ?|：)(.*)$/;

export function parseTalk(topic: string, text: string): Block[] {
  const blocks: Block[] = [];
  let block: MutableBlock | null = null;
  for (const [index, raw] of text.split('\n').entries()) {
    const line = raw.trim();
    const at = index + 1;
    if (line.startsWith('#')) continue;
    if (line === '') {
      if (block !== null) blocks.push(closed(block));
      block = null;
      continue;
    }
    block ??= { topic, line: at, exchanges: [], each: null, draw: null, n: null, plain: false };
    if (line.startsWith('@')) {
      direct(block, line.slice(1));
      continue;
    }
    const match = SPEAKERS.exec(line);
    if (match === null) throw new FormatError(topic, at, `is neither Q:, A:, 问：, 答： nor @: ${line}`);
    say(block, match[1] ?? '', variants(match[2] ?? '', topic, at), at);
  }
  if (block !== null) blocks.push(closed(block));
  return blocks;
}

interface MutableBlock extends Omit<Block, 'exchanges' | 'each' | 'draw' | 'n' | 'plain'> {
  exchanges: { language: Language; turns: { asked: string[]; answers: string[]; language: Language }[] }[];
  each: string | null;
  draw: number | null;
  n: number | null;
  plain: boolean;
}

function direct(block: MutableBlock, text: string): void {
  for (const word of text.trim().split(/\s+/)) {
    const [key, value] = word.split('=');
    if (key === 'plain') block.plain = true;
    else if (key === 'each' && value !== undefined) block.each = value;
    else if ((key === 'draw' || key === 'n') && Number(value) > 0) block[key] = Number(value);
    else throw new FormatError(block.topic, block.line, `has the unknown direction ${word}: each=TABLE, draw=N, n=N and plain are known`);
  }
}

function say(block: MutableBlock, speaker: string, wordings: string[], line: number): void {
  const asks = speaker === 'Q' || speaker === '问';
  const spoken: Language = speaker.startsWith('Q') || speaker.startsWith('A') ? 'en' : 'zh';
  let exchange = block.exchanges.at(-1);
  if (exchange === undefined || exchange.language !== spoken) {
    exchange = { language: spoken, turns: [] };
    block.exchanges.push(exchange);
  }
  let turn = exchange.turns.at(-1);
  if (asks && (turn === undefined || turn.answers.length > 0)) {
    turn = { asked: [], answers: [], language: spoken };
    exchange.turns.push(turn);
  }
  if (turn === undefined) throw new FormatError(block.topic, line, 'an answer comes before its question');
  if (asks) turn.asked.push(...wordings);
  else {
    turn.language = speaker === 'A(zh)' ? 'zh' : speaker === '答(en)' ? 'en' : spoken;
    turn.answers.push(...wordings);
  }
}

function closed(block: MutableBlock): Block {
  const open = block.exchanges.flatMap(({ turns }) => turns).find(({ answers }) => answers.length === 0);
  if (block.exchanges.length === 0 || open !== undefined) throw new FormatError(block.topic, block.line, `has a question without an answer: ${open?.asked[0] ?? ''}`);
  return block;
}

/** `a | [b/c] d` → a, b d, c d. */
export function variants(text: string, topic = '', line = 0): string[] {
  return text.split(' | ').map((part) => part.trim()).flatMap((part) => choices(part).map((one) => (one === part ? one : one.replaceAll(/ {2,}/g, ' ').trim()))).map((found) => {
    if (found === '' || /[[\]]/.test(found)) throw new FormatError(topic, line, `has an empty wording or an unmatched bracket: ${text}`);
    return found;
  });
}

function choices(text: string): string[] {
  const match = /\[([^[\]]*)\]/.exec(text);
  if (match === null) return [text];
  const before = text.slice(0, match.index);
  const after = choices(text.slice(match.index + match[0].length));
  return (match[1] ?? '').split('/').flatMap((choice) => after.map((rest) => before + choice + rest));
}

const PLACEHOLDER = /\{([a-z-]+)(\d?)\.(\w+)(?::(\w+))?\}/g;

/** The tables a text draws from: `capitals`, `capitals2`. */
export function slotsOf(texts: Iterable<string>): Set<string> {
  const slots = new Set<string>();
  for (const text of texts) for (const match of text.matchAll(PLACEHOLDER)) slots.add(`${match[1] ?? ''}${match[2] ?? ''}`);
  return slots;
}

/** Fills the placeholders from the rows drawn; null where a cell is empty. */
export function fill(text: string, rows: ReadonlyMap<string, Row>): string | null {
  let missing = false;
  const filled = text.replaceAll(PLACEHOLDER, (match, table: string, digit: string, column: string, filter?: string) => {
    const cell = rows.get(table + digit)?.[column];
    if (cell === undefined) throw new Error(`${match} names no column of a table: ${text}`);
    if (cell === '') missing = true;
    if (filter === undefined) return cell;
    if (filter === 'a') return withArticle(cell);
    if (filter === 'cap') return capitalized(cell);
    if (filter === 'low') return cell.charAt(0).toLowerCase() + cell.slice(1);
    throw new Error(`${match} has an unknown filter`);
  });
  return missing ? null : filled;
}

export const capitalized = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);

/** a dog, an apple, an hour, a university. */
export function withArticle(noun: string): string {
  return /^(?:[aeio]|u(?!n[i]|s[aeiu]|rina)|hour|honest)/i.test(noun) && !/^(?:one|euro|ewe)/i.test(noun) ? `an ${noun}` : `a ${noun}`;
}
