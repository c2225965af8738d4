/** The items of an entry: read from its file, without those the model was trained on, and drawn by a seed. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  cleanDocument, cleanText, convertDocument, convertText, type Conversion, deepClean, dialogues, isHeldOut, isWanted, type Manifest, type Place, readLines,
  readManifest, refineDocument, type SourceSpec, splitDigest, toDocument,
} from '@parley/data';
import { Random } from '@parley/engine';
import { TrainError } from '../errors.ts';
import { sourceSpecs } from '../plan.ts';
import { parseRecipe, type Recipe } from '../recipe.ts';
import { SuiteError } from './suite.ts';

export interface Item {
  readonly fields: Readonly<Record<string, unknown>>;
  readonly place: Place;
}

export interface DrawOptions {
  readonly limit: number;
  readonly seed: number;
  readonly where?: Readonly<Record<string, string | number | boolean>> | undefined;
  /** Every text field in one script (see the data package). */
  readonly convert?: Conversion | undefined;
  /** Items it is false for are left out; it sees them as they stand in the file. */
  readonly keep?: ((item: Item) => boolean) | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface Drawn {
  readonly items: Item[];
  /** In the file. */
  readonly total: number;
  /** Of those, items that could have been drawn. */
  readonly eligible: number;
  /**
   * Some of those that were not drawn, up to 30,000: what a baseline may learn from. What the model was trained on is among
   * them, so that both have learned from the same.
   */
  readonly rest: Item[];
}

const MOST_REST = 30_000;

/** `limit` items, each set of them equally likely (Vitter's algorithm R); the same file and seed give the same ones. */
export async function drawItems(path: string, options: DrawOptions): Promise<Drawn> {
  const random = new Random(options.seed);
  const items: Item[] = [];
  const rest: Item[] = [];
  let total = 0;
  let eligible = 0;
  const putAside = (item: Item | undefined): void => {
    if (item !== undefined && rest.length < MOST_REST) rest.push(item);
  };
  for await (const { text, line } of readLines(path, options.signal)) {
    if (text.trim() === '') continue;
    total++;
    const item = { fields: parseLine(text, { path, line }), place: { path, line } };
    if (Object.entries(options.where ?? {}).some(([name, value]) => item.fields[name] !== value)) continue;
    if (options.keep?.(item) === false) {
      putAside(item);
      continue;
    }
    eligible++;
    if (items.length < options.limit) {
      items.push(item);
      continue;
    }
    const at = random.below(eligible);
    if (at < options.limit) {
      putAside(items[at]);
      items[at] = item;
    } else putAside(item);
  }
  const { convert } = options;
  if (convert === undefined) return { items, total, eligible, rest };
  const converted = (list: readonly Item[]): Item[] => list.map((item) => ({ ...item, fields: convertFields(item.fields, convert) }));
  return { items: converted(items), total, eligible, rest: converted(rest) };
}

/** The items of a file, one at a time: those with what `where` asks for that `keep` is not false for. */
export async function* readItems(path: string, options: Omit<DrawOptions, 'limit' | 'seed'>): AsyncGenerator<Item> {
  const { convert } = options;
  for await (const { text, line } of readLines(path, options.signal)) {
    if (text.trim() === '') continue;
    const item = { fields: parseLine(text, { path, line }), place: { path, line } };
    if (Object.entries(options.where ?? {}).some(([name, value]) => item.fields[name] !== value) || options.keep?.(item) === false) continue;
    yield convert === undefined ? item : { ...item, fields: convertFields(item.fields, convert) };
  }
}

function convertFields(fields: Item['fields'], to: Conversion): Item['fields'] {
  const value = (field: unknown): unknown => (typeof field === 'string' ? convertText(field, to) : Array.isArray(field) ? field.map(value) : field);
  return Object.fromEntries(Object.entries(fields).map(([name, field]) => [name, value(field)]));
}

function parseLine(text: string, place: Place): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  } catch (error) {
    throw new TrainError(`${place.path}:${place.line} is not JSON: one object a line is expected`, { cause: error });
  }
  throw new TrainError(`${place.path}:${place.line} is not a JSON object: one object a line is expected`);
}

/** What a run was trained on, as far as its folder says. */
export interface TrainingRun {
  readonly folder: string;
  readonly recipe: Recipe;
  readonly manifest: Manifest;
}

/** Reads recipe.yaml and data/manifest.json of a run's folder. Throws SuiteError where they are not there. */
export async function loadTrainingRun(folder: string): Promise<TrainingRun> {
  const path = join(folder, 'recipe.yaml');
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    throw new SuiteError(`${folder} is no run's folder: there is no recipe.yaml in it`, { cause: error });
  });
  return { folder, recipe: parseRecipe(text, path), manifest: await readManifest(join(folder, 'data')) };
}

/** What decides which items are trained on. */
export interface TrainedFiles {
  readonly sources: readonly { readonly spec: SourceSpec; readonly files: readonly { readonly sha256: string }[] }[];
  /** The share held out of sources that do not say their own. */
  readonly heldOut: number;
  readonly clean: boolean;
}

/**
 * For a file among the run's sources: whether the run trained on what an item became. Null for a file that is not among them.
 * The rule is the preparation's own: the recipe's templates, cleaning and filters make the document, its hash decides.
 */
export function trainedOn({ recipe, manifest }: TrainingRun, fileHash: string): Membership | null {
  const { held_out: heldOut, clean } = recipe.data;
  const sources = sourceSpecs(recipe, '.').map((spec) => ({ spec, files: manifest.sources.find(({ name }) => name === spec.name)?.files ?? [] }));
  return membershipIn({ sources, heldOut, clean }, fileHash);
}

export interface Membership {
  /** Those that read the file. */
  readonly sources: string[];
  readonly seen: (item: Item) => boolean;
}

/** The same before there is a run. */
export function membershipIn(training: TrainedFiles, fileHash: string): Membership | null {
  const { heldOut, clean } = training;
  const specs = training.sources.filter(({ files }) => files.some(({ sha256 }) => sha256 === fileHash)).map(({ spec }) => spec);
  if (specs.length === 0) return null;
  return {
    sources: specs.map(({ name }) => name),
    seen: (item) => specs.some((spec) => seenBy(spec, item, { share: spec.heldOut ?? heldOut, clean })),
  };
}

function seenBy(spec: SourceSpec, { fields, place }: Item, data: { share: number; clean: boolean }): boolean {
  // Parts of a document go different ways; limits on documents and shared lines depend on the others. They count as seen.
  if (spec.splitCharacters !== undefined || spec.sharedLines !== undefined) return true;
  if (!isWanted(fields, spec)) return false;
  const made = toDocument(fields, place, spec);
  const raw = spec.convert === undefined ? made : convertDocument(made, spec.convert);
  if (spec.only !== undefined && (raw.kind === 'text') !== (spec.only === 'texts')) return false;
  const { document } = deepClean(raw, spec, data);
  if (spec.dialogue === true && document.kind === 'text') {
    // Conversations made of a text go where the text goes.
    return [...dialogues(document)].length > 0 && !isHeldOut(splitDigest(data.clean ? cleanDocument(document).document : document), data.share);
  }
  const refined = refineDocument(document, spec, data);
  return 'keep' in refined && !isHeldOut(splitDigest(refined.keep), data.share);
}

export const clean = (text: string): string => cleanText(text).text;
