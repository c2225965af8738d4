/** What `parley data inspect` and `prepare` print: a page a person reads before training. */
import type { ChangeExample, DecontaminationCounts, DropExample, Histogram, Inspection, Manifest } from '@parley/data';
import { displayWidth, fit, oneLine, printable, wrap } from './display-width.ts';

export interface ViewOptions {
  /** Columns of the terminal. */
  readonly columns: number;
  /** What each quality rule measures; those that were broken are explained. */
  readonly rules: Readonly<Record<string, { readonly kind: 'min' | 'max'; readonly says: string }>>;
}

/** Wider lines are tiring to read, narrower ones hold no example. */
const columnsOf = ({ columns }: ViewOptions): number => Math.min(Math.max(columns, 60), 120);

export function viewInspections(inspections: readonly Inspection[], options: ViewOptions): string {
  return `${inspections.map((inspection) => viewInspection(inspection, options).join('\n')).join('\n\n')}\n`;
}

function viewInspection(source: Inspection, options: ViewOptions): string[] {
  const { name, read, documents, conversations, turns, bytes, tokens, dropped, changed, cut, languages, lengths, samples, examples } = source;
  const columns = columnsOf(options);
  const lost = Object.values(dropped).reduce((sum, count) => sum + count, 0);
  const kept = read === documents || lost === 0 ? `${counted(documents, 'document')}` : `${counted(documents, 'document')} of ${format(read)} (${percent(documents, read)})`;
  const lines = [
    `${name}  ${kept}`,
    `${'─'.repeat(columns)}`,
    row('text', `${size(bytes)}${documents === 0 ? '' : `, ${size(bytes / documents)} a document`}`),
    ...(tokens === null ? [] : [row('tokens', `${format(tokens)}, ${(bytes / Math.max(1, tokens)).toFixed(2)} bytes each`)]),
    ...(conversations === 0 ? [] : [row('conversations', `${format(conversations)}${turns === null ? '' : `, ${(turns / conversations).toFixed(1)} turns each`}`)]),
    ...viewLanguages(languages, columns),
    ...viewLengths(lengths, columns),
    ...viewDropped(dropped, examples.dropped, { read, columns, rules: options.rules }),
    ...viewChanged(changed, examples.changed, { documents, columns }),
    ...(cut === 0 ? [] : ['', row('cut', `${counted(cut, 'text')}, to the source's limit`)]),
    ...viewScreened(source.screened, columns),
    ...samples.flatMap((sample, index) => ['', `  sample ${index + 1} of ${samples.length}`, ...indent(sample, columns)]),
  ];
  return lines;
}

export function viewManifest(manifest: Manifest, options: ViewOptions): string {
  const columns = columnsOf(options);
  const blocks = manifest.sources.map(({ name, counts, files, ignored, licence, splits: { train, 'held-out': heldOut } }) => [
    `${name}  ${counted(train.documents, 'document')} to train on, ${format(heldOut.documents)} held out`,
    `${'─'.repeat(columns)}`,
    row('read', `${counted(counts.read, 'document')} of ${counted(files.length, 'file')}${ignored === 0 ? '' : `; ${format(ignored)} others passed over`}`),
    row('tokens', `${format(train.tokens)} + ${format(heldOut.tokens)} held out, ${(train.bytes / Math.max(1, train.tokens)).toFixed(2)} bytes each`),
    ...(train.conversations === 0 ? [] : [row('conversations', format(train.conversations))]),
    ...(licence === undefined ? [] : [row('licence', licence)]),
    ...viewLanguages(counts.languages, columns),
    ...viewDropped(counts.dropped, {}, { read: counts.read, columns, rules: options.rules }),
    ...viewChanged(counts.changed, {}, { documents: counts.kept, columns }),
    ...(counts.cut === 0 ? [] : ['', row('cut', `${counted(counts.cut, 'text')}, to the source's limit`)]),
    ...viewScreened(counts, columns),
  ].join('\n'));
  return `${[...blocks, ...viewDecontamination(manifest.screened.decontamination)].join('\n\n')}\n`;
}

/** Counts only: nothing of what was masked is shown. */
function viewScreened({ nearDuplicatesOf, masked, maskedDocuments, itemsCut }: Inspection['screened'], columns: number): string[] {
  const like = sorted(nearDuplicatesOf).map(([source, count]) => `${source} ${format(count)}`);
  const kinds = sorted(masked).map(([kind, count]) => `${KINDS[kind] ?? kind} ${format(count)}`);
  return [
    ...(like.length === 0 ? [] : ['', row('nearly like', fit(like.join(', '), columns - 16))]),
    ...(kinds.length === 0 ? [] : ['', row('masked', fit(`${kinds.join(', ')}, in ${counted(maskedDocuments, 'document')}`, columns - 16))]),
    ...(itemsCut === 0 ? [] : ['', row('items cut', `out of ${counted(itemsCut, 'text')}`)]),
  ];
}

const KINDS: Readonly<Record<string, string>> = { email: 'e-mail', phone: 'phone', card: 'card', iban: 'IBAN', identity: 'identity number', ip: 'IP address' };

/** What was found of each evaluation set in the training documents; nothing where nothing was looked for. */
export function viewDecontamination(sets: readonly DecontaminationCounts[] | null): string[] {
  if (sets === null) return [];
  const width = Math.max(14, ...sets.map(({ set }) => set.length));
  return [[
    `evaluation items in the training documents`,
    `  ${'set'.padEnd(width)}${['items', 'too short', 'found', 'dropped', 'cut'].map((head) => head.padStart(11)).join('')}`,
    ...sets.map(({ set, items, tooShort, found, dropped, cut }) => `  ${set.padEnd(width)}${[items, tooShort, found, dropped, cut].map((count) => format(count).padStart(11)).join('')}`),
  ].join('\n')];
}

function viewLanguages(languages: Readonly<Record<string, number>>, columns: number): string[] {
  const entries = Object.entries(languages);
  if (entries.length === 0) return [];
  const all = entries.reduce((sum, [, count]) => sum + count, 0);
  const shown = entries.slice(0, 6).map(([language, count]) => `${language === 'und' ? 'undetermined' : language} ${percent(count, all)}`);
  const rest = entries.slice(6).reduce((sum, [, count]) => sum + count, 0);
  return [row('languages', fit([...shown, ...(rest === 0 ? [] : [`${entries.length - 6} others ${percent(rest, all)}`])].join(', '), columns - 16))];
}

function viewLengths({ unit, buckets }: Histogram, columns: number): string[] {
  const most = Math.max(1, ...buckets.map(({ count }) => count));
  const width = Math.max(10, columns - 44);
  return ['', `  lengths, in ${unit} a document`, ...buckets.map(({ from, to, count }) => {
    const range = `${short(from).padStart(7)} – ${short(to).padEnd(7)}`;
    return `${range}${format(count).padStart(12)}  ${bar(count / most, width)}`;
  })];
}

/** Eighths of a block, so that small counts are still seen. */
function bar(share: number, width: number): string {
  const eighths = share === 0 ? 0 : Math.max(1, Math.round(share * width * 8));
  return '█'.repeat(Math.floor(eighths / 8)) + ['', '▏', '▎', '▍', '▌', '▋', '▊', '▉'][eighths % 8];
}

function viewDropped(
  dropped: Readonly<Partial<Record<string, number>>>, examples: Readonly<Partial<Record<string, DropExample>>>,
  { read, columns, rules }: { read: number; columns: number; rules: ViewOptions['rules'] },
): string[] {
  const entries = sorted(dropped);
  if (entries.length === 0) return [];
  const all = entries.reduce((sum, [, count]) => sum + count, 0);
  return ['', `  dropped: ${format(all)}, ${percent(all, read)}`, ...entries.flatMap(([reason, count]) => {
    const example = examples[reason];
    const rule = rules[reason];
    const meaning = rule === undefined ? (REASONS[reason] ?? '') : `${rule.kind === 'min' ? 'low' : 'high'}: ${rule.says}`;
    return [
      tableRow(reason, count, { all: read, columns, note: meaning }),
      ...(example === undefined ? [] : [`      ${fit(exampleLine(example), columns - 6)}`]),
    ];
  })];
}

const exampleLine = ({ path, line, why, text }: DropExample): string => `${path}:${line}${why === '' ? '' : ` (${why})`} ${oneLine(text)}`;

const REASONS: Readonly<Record<string, string>> = {
  empty: 'no text', no_answer: 'the assistant says nothing', not_selected: 'not what `where` asks for', too_short: 'under min_characters', too_long: 'over max_characters',
  turn_too_long: 'a turn over max_turn_characters', excluded: 'matches `exclude`', duplicate: 'the same as an earlier one',
  near_duplicate: 'nearly the same as an earlier one', contaminated: 'holds evaluation items',
  over_source_limit: 'after max_documents', mojibake: 'characters lost', other_language: 'not among `languages`',
};

const CHANGES: Readonly<Record<string, string>> = {
  byte_order_mark: 'byte order mark removed', line_ends: 'CR and CRLF to LF', control_characters: 'control characters removed', unicode_nfc: 'composed, as Unicode NFC',
  lone_surrogates: 'half characters replaced', blank_edges: 'blank beginning or end removed', shared_lines: 'lines of many documents removed', mojibake: 'misread UTF-8 turned back',
  html: 'tags and references to text', wiki: 'wiki markup to text', markdown: 'links and images to text', boilerplate: 'navigation and banners removed', width: 'full-width forms to ordinary',
  whitespace: 'spaces and blank lines tidied',
};

function viewChanged(
  changed: Readonly<Partial<Record<string, number>>>, examples: Readonly<Partial<Record<string, ChangeExample>>>, { documents, columns }: { documents: number; columns: number },
): string[] {
  const entries = sorted(changed);
  if (entries.length === 0) return [];
  return ['', '  cleaned', ...entries.flatMap(([change, count]) => {
    const example = examples[change];
    const [before, after] = example === undefined ? ['', ''] : [visible(example.before), visible(example.after)];
    return [
      tableRow(change, count, { all: documents, columns, note: CHANGES[change] ?? '' }),
      // What no mark can show is said in words alone.
      ...(before === after ? [] : [`      ${fit(`− ${before}`, columns - 6)}`, `      ${fit(`+ ${after}`, columns - 6)}`]),
    ];
  })];
}

/** White space as marks, so that a change of nothing else is seen. */
const visible = (text: string): string =>
  printable(text.replaceAll('\r', '␍').replaceAll('\t', '→').replaceAll('\n', '⏎').replaceAll('\u00a0', '⍽').replaceAll('\u3000', '□')
    .replace(/ {2,}| (?=⏎|$)/g, (run) => '·'.repeat(run.length)));

const sorted = (counts: Readonly<Partial<Record<string, number>>>): [string, number][] =>
  Object.entries(counts).filter((entry): entry is [string, number] => entry[1] !== undefined).toSorted((a, b) => b[1] - a[1]);

const row = (label: string, value: string): string => `  ${label.padEnd(14)}${value}`;

function tableRow(name: string, count: number, { all, columns, note }: { all: number; columns: number; note: string }): string {
  const head = `    ${name.replaceAll('_', ' ').padEnd(26)}${format(count).padStart(9)}${percent(count, all).padStart(8)}`;
  return note === '' ? head : `${head}   ${fit(note, columns - displayWidth(head) - 3)}`;
}

/** A sample as it is, its long lines broken. */
function indent(text: string, columns: number): string[] {
  return printable(text).split('\n').flatMap((line) => (line.trim() === '' ? [''] : wrap(line, columns - 6, 12))).map((line) => (line === '' ? '    │' : `    │ ${line}`));
}

const format = (value: number): string => Math.round(value).toLocaleString('en');

const counted = (count: number, what: string): string => `${format(count)} ${what}${count === 1 ? '' : 's'}`;

function percent(part: number, whole: number): string {
  const value = (100 * part) / Math.max(1, whole);
  if (value > 0 && value < 0.05) return '<0.1%';
  return value > 99.9 && part < whole ? '>99.9%' : `${value.toFixed(value >= 99.95 || value === 0 ? 0 : 1)}%`;
}

function size(bytes: number): string {
  if (bytes < 1000) return `${format(bytes)} bytes`;
  return bytes < 1e6 ? `${(bytes / 1e3).toFixed(1)} kB` : bytes < 1e9 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / 1e9).toFixed(2)} GB`;
}

/** 1024 as 1k, as binary prefixes have it. */
function short(value: number): string {
  return value < 1024 ? String(value) : value < 2 ** 20 ? `${value / 1024}k` : `${value / 2 ** 20}M`;
}
