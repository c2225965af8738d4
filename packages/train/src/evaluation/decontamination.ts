/**
 * What a recipe's `decontaminate:` names, as evaluation items for the data package: the items of suites and of plain JSON lines files.
 *
 * A suite often measures on the held-out part of a file that is trained on. Then only the items that are held out count (by the rule
 * that evaluation itself follows, items.ts): the others are the training data, and would drop themselves.
 */
import { existsSync } from 'node:fs';
import { basename, dirname, relative, resolve } from 'node:path';
import { cutPoint, type EvaluationItem, fileRecord, fillTemplate, type FileRecord, type ScreenOptions, sourceFiles, type SourceSpec, toDocument } from '@parley/data';
import type { Recipe } from '../recipe.ts';
import { clean, type Item, membershipIn, readItems, type TrainedFiles } from './items.ts';
import { loadSuite, type SuiteEntry, SuiteError } from './suite.ts';

export interface EvaluationItemsOptions {
  readonly specs: readonly SourceSpec[];
  /** The share of documents kept from training, where a source does not say its own; and whether they are cleaned. */
  readonly heldOut: number;
  readonly clean: boolean;
  /** Told of each entry of a suite that cannot be looked for, because its file is not there or all of it is trained on. */
  readonly onNote?: ((text: string) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** What a recipe asks of near-duplicates, personal data and evaluation items, as `prepare` takes it; its paths start in `folder`. */
export function screenOptions(recipe: Recipe, place: Pick<EvaluationItemsOptions, 'specs' | 'onNote' | 'signal'> & { folder: string }): ScreenOptions {
  const { near_duplicates: nearDuplicates, mask_personal_data: maskPersonalData, decontaminate, held_out: heldOut, clean: cleaned } = recipe.data;
  const wanted = decontaminate === undefined ? undefined : Array.isArray(decontaminate) ? { against: decontaminate } : decontaminate;
  return {
    nearDuplicates, maskPersonalData,
    ...(wanted === undefined ? {} : {
      decontaminate: {
        items: evaluationItems(wanted.against.map((path) => resolve(place.folder, path)), { ...place, heldOut, clean: cleaned }),
        ...('share' in wanted ? { share: wanted.share } : {}), ...('cut' in wanted ? { cut: wanted.cut } : {}),
      },
    }),
  };
}

/** Throws SuiteError for a file that is not there, a suite that cannot be followed, and lines that have no text. */
export async function* evaluationItems(paths: readonly string[], options: EvaluationItemsOptions): AsyncGenerator<EvaluationItem> {
  const training = { ...options, sources: await sourceRecords(options) };
  for (const path of paths) {
    if (!existsSync(path)) throw new SuiteError(`${path}: there is no such suite or file to decontaminate against: put it there, or leave it out`);
    if (!/\.ya?ml$/i.test(path)) {
      yield* itemsOf({ set: basename(path).replace(/\.(?:zst|gz)$/i, ''), path, texts: textsOfLine }, training, options);
      continue;
    }
    const { suite } = await loadSuite(path);
    for (const entry of suite.entries) {
      const file = resolve(dirname(path), entry.file);
      const set = `${suite.name}/${entry.name}`;
      if (existsSync(file)) yield* itemsOf({ set, path: file, entry, texts: (item) => textsOfEntry(entry, item) }, training, options);
      else options.onNote?.(`${set} is not looked for in the training data: there is no ${relative(dirname(path), file)}`);
    }
  }
}

async function sourceRecords({ specs, signal }: EvaluationItemsOptions): Promise<{ spec: SourceSpec; files: FileRecord[] }[]> {
  const records: { spec: SourceSpec; files: FileRecord[] }[] = [];
  for (const spec of specs) {
    const files: FileRecord[] = [];
    for (const file of (await sourceFiles(spec)).files) files.push(await fileRecord(file, signal));
    records.push({ spec, files });
  }
  return records;
}

interface ItemFile {
  readonly set: string;
  readonly path: string;
  readonly entry?: SuiteEntry;
  readonly texts: (item: Item) => readonly (readonly string[])[];
}

async function* itemsOf(file: ItemFile, training: TrainedFiles, options: EvaluationItemsOptions): AsyncGenerator<EvaluationItem> {
  const membership = membershipIn(training, (await fileRecord(file.path, options.signal)).sha256);
  const { where, convert } = file.entry ?? {};
  let items = 0;
  const keep = membership === null ? undefined : (item: Item): boolean => !membership.seen(item);
  for await (const item of readItems(file.path, { where, convert, keep, signal: options.signal })) {
    for (const texts of file.texts(item)) yield { set: file.set, texts };
    items++;
  }
  if (items > 0) return;
  const why = membership === null ? 'it has no items' : `all of it is trained on (${membership.sources.join(', ')})`;
  options.onNote?.(`${file.set} is not looked for in the training data: ${why}`);
}

/**
 * What is looked for of an item: what is its own. The words of an instruction around it are everybody's, and so are labels, choices
 * and short answers; a passage that a question is asked about is text of the world, in which the answer is not marked.
 */
function textsOfEntry(entry: SuiteEntry, item: Item): readonly (readonly string[])[] {
  const fields = (template: string, without = ''): string[] => {
    const left = new Set(expressions(without));
    return expressions(template).filter((expression) => !left.has(expression)).map((expression) => fill(expression, item));
  };
  const own = (template: string): string[] => fields(template).filter((text) => text !== '');
  switch (entry.task) {
    case 'text': {
      if (entry.text === undefined) return textsOfLine(item);
      const whole = clean(fillTemplate(entry.text, item.fields, item.place));
      return [[whole.slice(0, cutPoint(whole, entry.max_characters))]];
    }
    case 'classification': return [own(entry.text)];
    case 'choice': return [own(entry.prompt)];
    case 'cloze': return [[clean(fillTemplate(entry.text ?? `${entry.prompt ?? ''} ${entry.target ?? ''}`, item.fields, item.place))]];
    case 'translation': {
      const [reference = ''] = typeof entry.reference === 'string' ? [entry.reference] : entry.reference;
      return [[...own(entry.source), ...own(reference)]];
    }
    case 'question': return [fields(entry.prompt, entry.context)];
    case 'summary': return [own(entry.document), own(entry.reference)];
    case 'prompts': return [own(entry.prompt)];
    default: return entry satisfies never;
  }
}

/** `{a}` and `{b|lead}` of a template. */
const expressions = (template: string): string[] => template.match(/\{\{|\}\}|\{[^{}]*\}/g)?.filter((found) => found !== '{{' && found !== '}}') ?? [];
const fill = (expression: string, { fields, place }: Item): string => clean(fillTemplate(expression, fields, place));

/** Of a line without a template: its text, its turns, its prompt or its question. */
function textsOfLine(item: Item): readonly (readonly string[])[] {
  const { fields, place } = item;
  const named = ['text', 'prompt', 'question'].map((name) => fields[name]).find((value) => typeof value === 'string');
  if (named !== undefined) return [[clean(named)]];
  if (fields['messages'] === undefined) {
    throw new SuiteError(`${place.path}:${place.line} has the fields ${Object.keys(fields).join(', ')}: to decontaminate against it, it needs text, messages, prompt or question`);
  }
  const document = toDocument(fields, place);
  return document.kind === 'text' ? [[document.text]] : [[document.messages.map(({ content }) => clean(content)).join('\n')]];
}
