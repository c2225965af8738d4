/**
 * From a model's name to its folder or GGUF file: a path, then what ships in the repository's `models/`, then what was trained into `runs/`,
 * then what was pulled from a hub. Nothing is fetched here.
 */
import { access, readdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ModelNotFoundError } from '../errors.ts';
import { nearestName } from '../nearest-name.ts';
import { CONFIG_FILE } from './folder.ts';
import { ggufIn } from './gguf.ts';
import type { CachedModel } from './hub/cache.ts';
import { parseHubName } from './hub/name.ts';
import { cacheFolder } from './hub/settings.ts';

export interface ListedModel {
  /** What `resolveModel` takes. */
  readonly name: string;
  /** Or the GGUF file. */
  readonly folder: string;
  readonly source: 'shipped' | 'trained' | 'pulled';
}

export interface ResolveOptions {
  /** Folder of the shipped models. Default: `models/` at the root of the repository. */
  readonly shipped?: string;
  /** Folder of training runs. Default: `runs/` in the working directory. */
  readonly runs?: string;
  /** Cache of models from hubs. Default: `cacheFolder()`. */
  readonly cache?: string;
}

/** The shipped models lie beside `packages/`. */
const shippedFolder = (): string => fileURLToPath(new URL('../../../../models', import.meta.url));

/** A run keeps its finished model in `model/`; its own folder holds checkpoints and logs. */
const RUN_MODEL = 'model';

async function isModelFolder(folder: string): Promise<boolean> {
  return (await access(join(folder, CONFIG_FILE)).then(() => true, () => false)) || (await ggufIn(folder)) !== undefined;
}

/** Models that can be named, shipped ones first, each by name. A trained model of a shipped one's name is hidden by it. */
export async function listModels(options: ResolveOptions = {}): Promise<ListedModel[]> {
  const models = await localModels(options);
  const { listCached } = await import('./hub/cache.ts');
  for (const model of await listCached(options.cache ?? cacheFolder())) {
    // Single files, or several models in one: see `pulledPath`.
    const path = await pulledPath(model).catch(() => undefined);
    if (path !== undefined) models.set(model.name, { name: model.name, folder: path, source: 'pulled' });
  }
  return [...models.values()];
}

/** The shipped models and the trained ones, by name. Names of hubs have a slash and are none of theirs. */
async function localModels(options: ResolveOptions): Promise<Map<string, ListedModel>> {
  const models = new Map<string, ListedModel>();
  const places = [
    { source: 'shipped', root: options.shipped ?? shippedFolder() },
    { source: 'trained', root: resolve(options.runs ?? 'runs') },
  ] as const;
  for (const { source, root } of places) {
    const names = await readdir(root).catch((): string[] => []);
    for (const name of names.sort()) {
      if (models.has(name)) continue;
      for (const folder of [join(root, name), join(root, name, RUN_MODEL)]) {
        // A folder with several GGUF files is no model until one of them is named.
        if (!(await isModelFolder(folder).catch(() => false))) continue;
        models.set(name, { name, folder, source });
        break;
      }
    }
  }
  return models;
}

/** What is opened of a model that was pulled. Throws ModelNotFoundError where that is not one whole model. */
async function pulledPath(model: CachedModel): Promise<string> {
  const paths = model.files.map(({ path }) => path);
  const gguf = paths.filter((path) => path.endsWith('.gguf')).sort();
  if (paths.includes(CONFIG_FILE) && paths.some((path) => path.endsWith('.safetensors'))) return model.folder;
  if (gguf[0] !== undefined && gguf.length === 1) return join(model.folder, gguf[0]);
  throw new ModelNotFoundError(gguf.length > 1
    ? `${model.name} was pulled as several GGUF files: name one of them, ${gguf.map((path) => join(model.folder, path)).join(' or ')}`
    : `of ${model.name} only ${paths.join(', ')} was pulled: parley pull ${model.name} fetches the rest`, { model: model.name, available: [] });
}

/** The folder of a model given by path or name. Throws ModelNotFoundError, which lists what there is. */
export async function resolveModel(name: string, options: ResolveOptions = {}): Promise<string> {
  for (const folder of [name, join(name, RUN_MODEL)]) {
    if (name !== '' && (await isModelFolder(folder))) return resolve(folder);
  }
  // What lies here is found without the hub's part of the program, which takes longer to load than a small model.
  const local = (await localModels(options)).get(name);
  if (local) return local.folder;
  const models = await listModels(options);
  const found = models.find((model) => model.name === name);
  if (found) return found.folder;
  const hubName = parseHubName(name);
  if (hubName) {
    const { findCached } = await import('./hub/cache.ts');
    const pulled = await findCached(options.cache ?? cacheFolder(), name);
    if (pulled) return await pulledPath(pulled);
    const near = nearestName(name, models.map((model) => model.name));
    throw new ModelNotFoundError(`there is no folder ${name}, and no model of that name was pulled: parley pull ${name}${near === undefined ? '' : `; or did you mean ${near}?`}`, {
      model: name, available: models.map((model) => model.name),
    });
  }
  const available = models.map((model) => model.name);
  const nearest = nearestName(name, available);
  const choice = available.length === 0 ? 'none ships or was trained here: pass'
    : nearest === undefined ? `choose ${available.join(' or ')}, or pass` : `did you mean ${nearest}? Choose ${available.join(' or ')}, or pass`;
  throw new ModelNotFoundError(`no model is called "${name}": ${choice} the path of a folder with a ${CONFIG_FILE}, or of a GGUF file`, {
    model: name,
    available,
  });
}
