/**
 * Recipe files. With `extends: FILE` a recipe takes over the fields of another file beside it that it does not give itself, each whole: the steps
 * of one model share their data this way. What is lent need not be a recipe by itself.
 */
import { readFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { stringify } from 'yaml';
import { RecipeError } from './errors.ts';
import { checkRecipe, parseRecipe, readYaml, type Recipe } from './recipe.ts';

export interface LoadedRecipe {
  readonly recipe: Recipe;
  /** Where its relative paths start. */
  readonly folder: string;
  /** To be kept with the run: the file as it was read, or, where it extends another, all of its fields. */
  readonly text: string;
  readonly path: string;
}

/** Reads and checks a recipe file. Throws RecipeError. */
export async function loadRecipe(path: string): Promise<LoadedRecipe> {
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    throw new RecipeError(path, ['there is no such recipe: give the path of a .yaml file, or a folder of texts to train on'], { cause: error });
  });
  const folder = dirname(path);
  const own = fieldsOf(text, path);
  if (own === null) return { recipe: parseRecipe(text, path), folder, text, path };
  const { fields, files } = await inherited(own, [basename(path)], folder);
  const values = Object.fromEntries(Object.entries(fields).map(([key, { value }]) => [key, value]));
  const recipe = checkRecipe(values, path, (keys) => (keys.length === 0 ? own.where(keys) : fields[String(keys[0])]?.where(keys) ?? ''));
  return { recipe, folder, text: files.length === 1 ? text : `# ${files.join(', which extends ')}, put together.\n${stringify(values)}`, path };
}

type Where = (keys: readonly PropertyKey[]) => string;

interface Fields {
  readonly path: string;
  readonly extended: unknown;
  readonly fields: Readonly<Record<string, { readonly value: unknown; readonly where: Where }>>;
  /** What a problem with these keys begins with: the line they stand in and, in what is lent, the file. */
  readonly where: Where;
}

/** The file's fields; null where it has another form than fields with values, which the schema is to complain of. `lender`: its name, where it lends. */
function fieldsOf(text: string, path: string, lender?: string): Fields | null {
  const { value, where: line } = readYaml(text, path);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return null;
  const { extends: extended, ...rest } = value as Record<string, unknown>;
  const where: Where = lender === undefined ? line : (keys) => `${lender}, ${line(keys)}`;
  return { path, extended, fields: Object.fromEntries(Object.entries(rest).map(([key, field]) => [key, { value: field, where }])), where };
}

/** `files`: the names of those on the way here. */
async function inherited(own: Fields, files: readonly string[], folder: string): Promise<{ fields: Fields['fields']; files: readonly string[] }> {
  const { path, fields, extended, where } = own;
  if (extended === undefined) return { fields, files };
  const refuse = (reason: string, cause?: unknown): RecipeError => new RecipeError(path, [`${where(['extends'])}extends is ${JSON.stringify(extended)}: ${reason}`], { cause });
  if (typeof extended !== 'string' || extended === '' || basename(extended) !== extended) throw refuse('it has to be the name of a file in the same folder, so that paths mean the same in both');
  if (files.includes(extended)) throw refuse(`so that it would extend itself (${[...files, extended].join(', ')})`);
  const text = await readFile(join(folder, extended), 'utf8').catch((error: unknown) => {
    throw refuse(`there is no such file in ${folder}`, error);
  });
  const lent = fieldsOf(text, join(folder, extended), extended);
  if (lent === null) throw refuse('that file has no fields');
  const further = await inherited(lent, [...files, extended], folder);
  // Its own come first, and count.
  return { fields: { ...fields, ...further.fields, ...fields }, files: further.files };
}
