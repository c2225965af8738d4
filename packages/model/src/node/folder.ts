/**
 * A Hugging Face model folder: config.json, generation_config.json, and model.safetensors or the shards that
 * model.safetensors.index.json names. Where a folder is asked for, a GGUF file or a folder with one does as well. The tokenizer's files in it belong to @parley/tokenizer.
 */
import { readdir, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { type Backend, Tensor } from '@parley/engine';
import { headNames, labelsJSON, parseLabels, SequenceClassifier } from '../classifier.ts';
import { Checkpoint, encodeCheckpoint, type FileDType, type LoadWeightsOptions, loadTransformer } from '../checkpoint.ts';
import type { TransformerConfig } from '../config.ts';
import { CheckpointError, ModelError } from '../errors.ts';
import { type GenerationConfig, parseGenerationConfig, tokenIdsJSON } from '../generation-config.ts';
import { parseConfigJSON, toConfigJSON } from '../hugging-face.ts';
import * as s from '../schema.ts';
import type { Transformer } from '../transformer.ts';
import { loadGguf } from '../gguf/load.ts';
import { FileSource, readJSON, writeAtomic, writeJSON } from './files.ts';
import { ggufIn, withGguf } from './gguf.ts';

export const CONFIG_FILE = 'config.json';
const WEIGHTS_FILE = 'model.safetensors';
const INDEX_FILE = 'model.safetensors.index.json';
const GENERATION_FILE = 'generation_config.json';

export interface LoadModelOptions extends LoadWeightsOptions {
  readonly backend: Backend;
}

export interface SaveModelOptions {
  /** How the weights are stored. Default f32. */
  readonly dtype?: FileDType;
  /** Token ids and defaults for `config.json` and `generation_config.json`. */
  readonly generation?: Partial<GenerationConfig>;
  readonly signal?: AbortSignal;
}

/** What kind of model is in a folder: one that writes texts, or one that puts them into classes, with its labels. */
export async function loadLabels(folder: string): Promise<readonly string[] | null> {
  const path = join(folder, CONFIG_FILE);
  return parseLabels((await readJSON(path)) as Record<string, unknown> ?? {}, path);
}

/** The configuration in a folder. Throws ModelError when there is none, ConfigError when Parley cannot compute it. */
export async function loadConfig(folder: string): Promise<TransformerConfig> {
  const gguf = await ggufIn(folder);
  if (gguf !== undefined) return await withGguf(gguf, ({ config }) => config);
  const path = join(folder, CONFIG_FILE);
  const json = await readJSON(path);
  if (json === undefined) throw new ModelError(`${folder} has no ${CONFIG_FILE}: it is not a Hugging Face model folder`);
  return parseConfigJSON(json, path);
}

/** `generation_config.json` or, where there is none, the token ids of `config.json`. */
export async function loadGenerationConfig(folder: string): Promise<GenerationConfig> {
  const path = join(folder, GENERATION_FILE);
  const json = await readJSON(path);
  if (json !== undefined) return parseGenerationConfig(json, path);
  const gguf = await ggufIn(folder);
  if (gguf !== undefined) return await withGguf(gguf, ({ generation }) => generation);
  const config = (await readJSON(join(folder, CONFIG_FILE))) ?? {};
  const { bosTokenId, eosTokenIds, padTokenId } = parseGenerationConfig(config, join(folder, CONFIG_FILE));
  return { bosTokenId, eosTokenIds, padTokenId, defaults: {} };
}

/**
 * The model in a folder or a GGUF file, its matrices held in `dtype`: by default f32, and what is nearest to each matrix for a
 * quantized GGUF (see `GgufModel.heldIn`). Throws ConfigError, GgufError, CheckpointError or MemoryLimitError; then nothing stays allocated.
 */
export async function loadModel(folder: string, options: LoadModelOptions): Promise<Transformer> {
  const labels = options.body === true ? null : await loadLabels(folder);
  if (labels) throw new ModelError(`${folder} is a classifier of ${labels.length} labels and writes no text: ask it with pipeline('text-classification') or parley classify`);
  const gguf = await ggufIn(folder);
  if (gguf !== undefined) return await withGguf(gguf, (model) => loadGguf(options.backend, model, options));
  const config = await loadConfig(folder);
  await using open = new AsyncDisposableStack();
  const checkpoint = await openCheckpoint(folder, open);
  return await loadTransformer(options.backend, { config, checkpoint }, options);
}

async function openCheckpoint(folder: string, open: AsyncDisposableStack): Promise<Checkpoint> {
  const { files, index } = await weightFiles(folder);
  const sources: FileSource[] = [];
  for (const file of files) sources.push(open.use(await FileSource.open(join(folder, file))));
  return await Checkpoint.open(sources, {
    name: join(folder, index ? INDEX_FILE : WEIGHTS_FILE),
    ...(index ? { index } : {}),
  });
}

/** The classifier in a folder. Throws ModelError where it holds another model, and what `loadModel` throws; then nothing stays allocated. */
export async function loadClassifier(folder: string, options: LoadModelOptions): Promise<SequenceClassifier> {
  const labels = await loadLabels(folder);
  if (labels === null) throw new ModelError(`${folder} is no classifier: train one with a stage of kind classify, or take one for sequence classification`);
  const body = await loadModel(folder, { ...options, body: true });
  const taken: Tensor[] = [];
  try {
    await using open = new AsyncDisposableStack();
    const checkpoint = await openCheckpoint(folder, open);
    const read = async (name: string): Promise<Tensor> => {
      const tensor = Tensor.allocate(options.backend, checkpoint.info(name).shape);
      taken.push(tensor);
      const values = new Float32Array(tensor.size);
      await checkpoint.read(name, 0, values);
      tensor.write(values);
      return tensor;
    };
    const names = headNames(body.config);
    return new SequenceClassifier(body, await read(names.weight), labels, names.bias === null ? null : await read(names.bias));
  } catch (error) {
    for (const tensor of taken) tensor.dispose();
    body.dispose();
    throw error;
  }
}

/** Writes a classifier's folder, which `loadClassifier` and `transformers` read. Throws as `saveModel` does. */
export async function saveClassifier(classifier: SequenceClassifier, folder: string, options: SaveModelOptions = {}): Promise<void> {
  const { dtype = 'f32', generation = {}, signal } = options;
  const { body, head, labels } = classifier;
  const tokenIds = tokenIdsJSON(generation);
  const written = toConfigJSON(body.config, { ...tokenIds, ...labelsJSON(labels), torch_dtype: { f32: 'float32', f16: 'float16', bf16: 'bfloat16' }[dtype] });
  const architectures = (written['architectures'] as string[]).map((name) => name.replace(/(For\w+|LMHeadModel|Model)$/, 'ForSequenceClassification'));
  await writeAtomic(join(folder, WEIGHTS_FILE), encodeCheckpoint(body, { dtype, head, ...(signal ? { signal } : {}) }));
  await writeJSON(join(folder, CONFIG_FILE), { ...written, architectures });
}

/** Bytes of the weight files of a model: a folder, or a GGUF file. Throws ModelError and CheckpointError where there are none. */
export async function weightFileBytes(folder: string): Promise<number> {
  const gguf = await ggufIn(folder);
  const paths = gguf === undefined ? (await weightFiles(folder)).files.map((name) => join(folder, name)) : [gguf];
  const sizes = await Promise.all(paths.map(async (path) => (await stat(path)).size));
  return sizes.reduce((sum, size) => sum + size, 0);
}

const indexSchema = s.object({ weight_map: s.record(s.string()) });

/** The weight files of a folder and, for several, which of them has which tensor. */
async function weightFiles(folder: string): Promise<{ files: string[]; index: Map<string, number> | null }> {
  const names = await readdir(folder);
  if (names.includes(WEIGHTS_FILE)) return { files: [WEIGHTS_FILE], index: null };
  const path = join(folder, INDEX_FILE);
  const json = await readJSON(path);
  if (json === undefined) {
    const others = names.filter((name) => /\.(bin|pt|pth|h5|msgpack|onnx)$/.test(name));
    throw new CheckpointError(
      `${folder} has neither ${WEIGHTS_FILE} nor ${INDEX_FILE}` +
        (others.length > 0 ? `, but ${others.join(', ')}: convert them to safetensors` : ': it has no weights'),
      { file: join(folder, WEIGHTS_FILE) },
    );
  }
  const result = indexSchema.safeParse(json);
  if (!result.success) {
    throw new CheckpointError(`${path} has no weight_map from tensors to files: fetch it again`, { file: path, cause: result.error });
  }
  const { weight_map: map } = result.data;
  const files = [...new Set(Object.values(map))].sort();
  for (const file of files) {
    // A file name from a download must not reach outside its folder.
    if (file !== basename(file) || file === '..') {
      throw new CheckpointError(`${path} names the file ${file}, which is not in its folder: fetch it from where you trust`, { file: path });
    }
    if (!names.includes(file)) {
      throw new CheckpointError(`${path} names the file ${file}, which is missing: fetch it`, { file: join(folder, file) });
    }
  }
  return { files, index: new Map(Object.entries(map).map(([tensor, file]) => [tensor, files.indexOf(file)])) };
}

/**
 * Writes a model folder that `loadModel` and `transformers` read: weights first, then the configuration, each file whole or not
 * at all. Throws CheckpointError for a quantized model or values that `dtype` cannot hold, ConfigError for a configuration its
 * family cannot express.
 */
export async function saveModel(model: Transformer, folder: string, options: SaveModelOptions = {}): Promise<void> {
  const { dtype = 'f32', generation = {}, signal } = options;
  const tokenIds = tokenIdsJSON(generation);
  const torchDType = { f32: 'float32', f16: 'float16', bf16: 'bfloat16' }[dtype];
  const config = toConfigJSON(model.config, { ...tokenIds, torch_dtype: torchDType });
  await writeAtomic(join(folder, WEIGHTS_FILE), encodeCheckpoint(model, { dtype, ...(signal ? { signal } : {}) }));
  await writeJSON(join(folder, CONFIG_FILE), config);
  await writeJSON(join(folder, GENERATION_FILE), { ...generation.defaults, ...tokenIds });
}
