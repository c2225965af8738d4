/** A folder with an adapter as PEFT writes one: adapter_config.json and adapter_model.safetensors. */
import { access, readdir } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import type { Backend } from '@parley/engine';
import { type AdapterConfig, encodeAdapter, parseAdapterConfig, readAdapter, toAdapterConfigJSON } from '../adapter-file.ts';
import { Checkpoint, type FileDType } from '../checkpoint.ts';
import type { TransformerConfig } from '../config.ts';
import { AdapterError } from '../errors.ts';
import type { LoraAdapter } from '../lora.ts';
import { nearestName } from '../nearest-name.ts';
import { FileSource, readJSON, writeAtomic, writeJSON } from './files.ts';

const CONFIG_FILE = 'adapter_config.json';
const WEIGHTS_FILE = 'adapter_model.safetensors';

/** A run keeps its finished adapter in `adapter/`. */
const RUN_ADAPTER = 'adapter';

/** The configuration in an adapter's folder. Throws AdapterError. */
export async function loadAdapterConfig(folder: string): Promise<AdapterConfig> {
  const path = join(folder, CONFIG_FILE);
  const json = await readJSON(path);
  if (json === undefined) throw new AdapterError(`${folder} has no ${CONFIG_FILE}: it is not an adapter's folder`);
  return parseAdapterConfig(json, path);
}

/**
 * The adapter in a folder, for models of `config`; dispose it before the backend. Throws AdapterError where it is no LoRA adapter of
 * such a model, CheckpointError for damaged weights, MemoryLimitError.
 */
export async function loadAdapter(folder: string, options: { readonly backend: Backend; readonly config: TransformerConfig }): Promise<LoraAdapter> {
  const config = await loadAdapterConfig(folder);
  const path = join(folder, WEIGHTS_FILE);
  const names = await readdir(folder);
  if (!names.includes(WEIGHTS_FILE)) {
    throw new AdapterError(`${folder} has no ${WEIGHTS_FILE}${names.includes('adapter_model.bin') ? ', but adapter_model.bin: save it as safetensors' : ''}`);
  }
  await using source = await FileSource.open(path);
  const checkpoint = await Checkpoint.open([source], { name: path });
  return await readAdapter(options.backend, options.config, { options: config, checkpoint });
}

/** Writes a folder that `loadAdapter` and PEFT read: weights first, each file whole or not at all. Throws CheckpointError as `saveModel`. */
export async function saveAdapter(
  adapter: LoraAdapter, folder: string,
  options: {
    /** Of the model it was trained on. */
    readonly config: TransformerConfig;
    /** What that model is called, for `adapter_config.json`. */
    readonly baseModel: string | null;
    /** Default f32. */
    readonly dtype?: FileDType;
  },
): Promise<void> {
  await writeAtomic(join(folder, WEIGHTS_FILE), encodeAdapter(adapter, options.dtype));
  await writeJSON(join(folder, CONFIG_FILE), toAdapterConfigJSON(adapter, options.config, options.baseModel));
}

export interface ListedAdapter extends AdapterConfig {
  /** What `resolveAdapter` takes. */
  readonly name: string;
  readonly folder: string;
}

const isAdapterFolder = (folder: string): Promise<boolean> => access(join(folder, CONFIG_FILE)).then(() => true, () => false);

/** Adapters trained into `runs` (default: `runs/` in the working directory), by name. Those that cannot be read are left out. */
export async function listAdapters(options: { readonly runs?: string } = {}): Promise<ListedAdapter[]> {
  const root = resolve(options.runs ?? 'runs');
  const found: ListedAdapter[] = [];
  for (const name of (await readdir(root).catch((): string[] => [])).sort()) {
    const folder = join(root, name, RUN_ADAPTER);
    if (!(await isAdapterFolder(folder))) continue;
    const config = await loadAdapterConfig(folder).catch(() => null);
    if (config) found.push({ ...config, name, folder });
  }
  return found;
}

/** The folder of an adapter given by path (its own, or a run's) or by its run's name. Throws AdapterError, which lists what there is. */
export async function resolveAdapter(name: string, options: { readonly runs?: string } = {}): Promise<string> {
  for (const folder of [name, join(name, RUN_ADAPTER)]) if (name !== '' && (await isAdapterFolder(folder))) return resolve(folder);
  const listed = await listAdapters(options);
  const found = listed.find((adapter) => adapter.name === name);
  if (found) return found.folder;
  const names = listed.map((adapter) => adapter.name);
  const nearest = nearestName(name, names);
  const choice = names.length === 0 ? 'none was trained here: ' : nearest === undefined ? `choose ${names.join(' or ')}, or ` : `did you mean ${nearest}? Or `;
  throw new AdapterError(`no adapter is called "${name}": ${choice}pass the path of a folder with an ${CONFIG_FILE}`);
}

/** What to call an adapter: its folder, or for a run's the run. */
export const adapterName = (folder: string): string => (basename(folder) === RUN_ADAPTER ? basename(dirname(folder)) : basename(folder));
