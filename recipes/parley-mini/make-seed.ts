/**
 * Writes parley-mini.seed.jsonl.zst: the conversations that give parley-mini its manners and everyday knowledge, in English and
 * Chinese, one `{messages, topic, language, part}` a line. What is said is in talk/ and tables/ (format.ts says how they are read) and,
 * for what is computed, in computed.ts; here it is put together. Every block is drawn with a seed of its own, so that a change in
 * one does not reshuffle the others, and the same files give the same conversations everywhere. What a model is asked in
 * eval/prompts.jsonl is left out, however it is typed, so that those prompts stay a blind test.
 *
 *     node recipes/parley-mini/make-seed.ts            (from anywhere; --check only says whether the file is up to date)
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { Random } from '@parley/engine';
import { computedConversations } from './computed.ts';
import { type Block, type Exchange, fill, FormatError, type Language, parseTable, parseTalk, type Row, slotsOf, type Tables } from './format.ts';
import { slip, typed } from './wording.ts';

export interface SeedConversation {
  readonly messages: readonly { readonly role: 'user' | 'assistant'; readonly content: string }[];
  readonly topic: string;
  /** The language of the last answer. */
  readonly language: Language;
  /** What it is good for, so that a recipe can weigh manners, knowledge and tasks apart (`where: { part: manners }`). */
  readonly part: Part;
}

export type Part = 'manners' | 'knowledge' | 'tasks';

const PARTS: ReadonlyMap<string, Part> = new Map([
  ...['coding', 'counting', 'days', 'geography', 'kinds', 'months', 'numbers', 'science', 'spelling', 'sums', 'units', 'words'].map((topic) => [topic, 'knowledge'] as const),
  ...['lists', 'tasks', 'translation', 'writing'].map((topic) => [topic, 'tasks'] as const),
]);

/** Topics whose turns may be answered in the other language than they are asked in. */
export const SWITCHING_TOPICS: ReadonlySet<string> = new Set(['translation', 'languages', 'coding', 'tasks']);

const FOLDER = import.meta.dirname;
export const SEED_FILE = join(FOLDER, '..', 'parley-mini.seed.jsonl.zst');

const read = (folder: string): { name: string; text: string }[] =>
  readdirSync(join(FOLDER, folder)).filter((file) => file.endsWith('.txt')).sort()
    .map((file) => ({ name: basename(file, '.txt'), text: readFileSync(join(FOLDER, folder, file), 'utf8') }));

/** All of them, in their order. Throws FormatError where a file is not as it should be. */
export function makeSeed(): SeedConversation[] {
  const tables: Tables = new Map(read('tables').map(({ name, text }) => [name, parseTable(name, text)]));
  const seen = new Set<string>();
  const made: SeedConversation[] = [];
  const asked = evaluationPrompts();
  const take = (conversation: Omit<SeedConversation, 'part'>): boolean => {
    if (conversation.messages.some(({ role, content }) => role === 'user' && asked.has(normalized(content)))) return false;
    const key = JSON.stringify(conversation.messages);
    if (seen.has(key)) return false;
    seen.add(key);
    made.push({ ...conversation, part: PARTS.get(conversation.topic) ?? 'manners' });
    return true;
  };
  for (const { name, text } of read('talk')) {
    for (const block of parseTalk(name, text)) for (const exchange of block.exchanges) compose(block, exchange, tables, take);
  }
  for (const conversation of computedConversations(tables)) take(conversation);
  for (const conversation of chains(made)) take(conversation);
  return shuffled(made, new Random(1));
}

/** Lower case, letters and digits only. */
export const normalized = (text: string): string => text.toLowerCase().replaceAll(/[^\p{L}\p{N}]+/gu, '');

/** The prompts that the model's chat is judged by, normalized. */
export function evaluationPrompts(): Set<string> {
  const lines = readFileSync(join(FOLDER, '..', 'eval', 'prompts.jsonl'), 'utf8').split('\n').filter((line) => line.trim() !== '');
  return new Set(lines.map((line) => normalized((JSON.parse(line) as { prompt: string }).prompt)));
}

/** The conversations of one exchange: so many for each row, or in all. */
function compose(block: Block, exchange: Exchange, tables: Tables, take: (conversation: Omit<SeedConversation, 'part'>) => boolean): void {
  const texts = exchange.turns.flatMap(({ asked, answers }) => [...asked, ...answers]);
  const slots = [...slotsOf(texts)];
  const random = new Random(hash(`${block.topic} ${texts.join('\n')}`));
  const table = (slot: string): readonly Row[] => {
    const rows = tables.get(slot.replace(/\d$/, ''));
    if (rows === undefined) throw new FormatError(block.topic, block.line, `draws from ${slot}, and there is no such table`);
    return rows;
  };
  const wordings = exchange.turns[0]?.asked.length ?? 0;
  const rows: (Row | null)[] = block.each === null ? [null] : [...table(block.each)];
  const each = block.draw ?? block.n ?? (block.each === null ? Math.min(30, Math.max(6, Math.ceil(wordings * 1.6))) : 4);
  const order = shuffled([...Array(wordings).keys()], random);
  for (const [rowNumber, row] of rows.entries()) {
    for (let i = 0, tries = 0; i < each && tries < each * 4; tries += 1) {
      const drawn = new Map<string, Row>();
      for (const slot of slots) drawn.set(slot, slot === block.each && row !== null ? row : another(slot, drawn, table(slot), random));
      const turns = exchange.turns.map(({ asked, answers }, at) => {
        // The first turn goes through its wordings in order, so that each is heard; the rest is chance.
        const wording = asked[at === 0 ? (order[(tries + rowNumber * each) % wordings] ?? 0) : random.below(asked.length)] ?? '';
        const question = fill(exchange.language === 'en' && !block.plain ? slip(wording, random) : wording, drawn);
        const answer = fill(answers[random.below(answers.length)] ?? '', drawn);
        if (question === null || answer === null) return null;
        const said = tries < wordings && row === null && random.uniform() < 0.4 ? question : typed(question, exchange.language, random);
        return [
          { role: 'user' as const, content: unescaped(block.plain ? question : said) },
          { role: 'assistant' as const, content: beginning(unescaped(answer)) },
        ];
      });
      if (turns.includes(null)) continue;
      const language = exchange.turns.at(-1)?.language ?? exchange.language;
      if (take({ messages: turns.flatMap((turn) => turn ?? []), topic: block.topic, language })) i += 1;
    }
  }
}

/** A row that is not the one already drawn for the table's other slot. */
function another(slot: string, drawn: ReadonlyMap<string, Row>, rows: readonly Row[], random: Random): Row {
  const base = slot.replace(/\d$/, '');
  const taken = [...drawn].filter(([other]) => other.replace(/\d$/, '') === base).map(([, row]) => row);
  for (;;) {
    const row = rows[random.below(rows.length)];
    if (row === undefined) throw new Error(`the table ${base} is empty`);
    if (!taken.includes(row) || rows.length <= taken.length) return row;
  }
}

/** `\n` in the files is a new line. */
const unescaped = (text: string): string => text.replaceAll('\\n', '\n');

/** Answers begin with a capital, where a cell of a table comes first. */
const beginning = (text: string): string => (/^[a-z]+ .*[.!?]$/s.test(text) ? text.charAt(0).toUpperCase() + text.slice(1) : text);

/** Longer conversations: a few short ones of one language, one after the other. */
function* chains(made: readonly SeedConversation[]): Generator<Omit<SeedConversation, 'part'>> {
  const random = new Random(7);
  for (const language of ['en', 'zh'] as const) {
    const short = (one: SeedConversation): boolean => one.topic !== 'languages' && one.messages.length === 2 && one.messages.every(({ content }) => content.length < 140);
    const pool = made.filter((one) => one.language === language && short(one) && /\p{Script=Han}/u.test(one.messages[0]?.content ?? '') === (language === 'zh'));
    const starts = pool.filter(({ topic }) => topic === 'greetings');
    const ends = pool.filter(({ topic }) => topic === 'thanks');
    const middle = pool.filter(({ topic }) => topic !== 'greetings' && topic !== 'thanks');
    const draw = (from: readonly SeedConversation[]): SeedConversation['messages'] => from[random.below(from.length)]?.messages ?? [];
    for (let i = 0; i < 900; i += 1) {
      const messages = [
        ...(random.uniform() < 0.35 ? draw(starts) : []),
        ...draw(middle),
        ...(random.uniform() < 0.6 ? draw(middle) : []),
        ...(random.uniform() < 0.4 ? draw(ends) : []),
      ];
      if (messages.length > 2) yield { messages, topic: 'chain', language };
    }
  }
}

export function shuffled<T>(items: readonly T[], random: Random): T[] {
  const result = [...items];
  for (let i = result.length - 1; i > 0; i -= 1) {
    const j = random.below(i + 1);
    [result[i], result[j]] = [result[j] as T, result[i] as T];
  }
  return result;
}

/** FNV-1a. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let i = 0; i < text.length; i += 1) value = Math.imul(value ^ text.charCodeAt(i), 0x01000193);
  return value >>> 0;
}

export const seedLines = (conversations: readonly SeedConversation[]): string => conversations.map((one) => `${JSON.stringify(one)}\n`).join('');

/** What lies beside the recipe now. */
export const readSeedFile = (): string => zstdDecompressSync(readFileSync(SEED_FILE)).toString('utf8');

if (import.meta.main) {
  const conversations = makeSeed();
  const text = seedLines(conversations);
  if (process.argv.includes('--check')) {
    const same = readSeedFile() === text;
    console.log(same ? 'up to date' : 'not up to date: run make-seed.ts');
    process.exitCode = same ? 0 : 1;
  } else {
    const packed = zstdCompressSync(text, { params: { [constants.ZSTD_c_compressionLevel]: 16 } });
    writeFileSync(SEED_FILE, packed);
    const count = Map.groupBy(conversations, ({ topic, language }) => `${topic} ${language}`);
    for (const [key, list] of [...count].sort(([a], [b]) => (a < b ? -1 : 1))) console.log(key.padEnd(28), list.length);
    console.log(`${conversations.length} conversations, ${(text.length / 1e6).toFixed(2)} M characters, ${(packed.length / 1e6).toFixed(2)} MB packed`);
  }
}
