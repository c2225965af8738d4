/** Opens a model folder for generation on this thread: backend, weights, tokenizer, and what the folder says about them. */
import { type BackendOptions, createBackend } from '@parley/engine/node';
import { parameterCount, type TransformerConfig, type WeightDType } from '@parley/model';
import { adapterName, loadAdapter, loadGenerationConfig, loadModel, resolveAdapter, resolveModel } from '@parley/model/node';
import type { Tokenizer } from '@parley/tokenizer';
import { loadTokenizer } from '@parley/tokenizer/node';
import { BatchingGenerator } from '../batching/batching-generator.ts';
import type { BatchingOptions } from '../batching/settings.ts';
import { OptionError } from '../errors.ts';
import type { GeneratorParts } from '../generator.ts';

export interface LoadOptions extends BackendOptions {
  /** What the weights are held in. Default f32; for a quantized GGUF file what is nearest to it (`loadModel`). */
  readonly dtype?: WeightDType;
  /** LoRA adapters laid on the model, by name or path. What several add is summed. */
  readonly adapters?: readonly AdapterChoice[];
  /**
   * A smaller model with the same tokens which guesses ahead while one text alone is being written: the same text, sooner where it is
   * often right. It may be the model itself, held in fewer bits. Not without `batching`.
   */
  readonly assistant?: AssistantChoice;
  /** How requests share the model (see BatchingOptions). false: each is computed by itself, and nothing is remembered between them. */
  readonly batching?: BatchingOptions | false;
}

export interface AdapterChoice {
  /** A run's name, its folder, or an adapter's. */
  readonly path: string;
  /** How strongly it acts. Default 1. */
  readonly weight?: number;
}

export interface AssistantChoice {
  /** A model's name or folder. */
  readonly path: string;
  /** What its weights are held in. Default: as the model's. */
  readonly dtype?: WeightDType | undefined;
}

/** Facts about an open model. */
export interface ModelInfo {
  readonly folder: string;
  readonly family: TransformerConfig['family'];
  readonly parameters: number;
  readonly dtype: WeightDType;
  /** Bytes of the weights in memory. */
  readonly weightBytes: number;
  readonly contextLength: number;
  readonly vocabSize: number;
  /** Whether it has a chat template. */
  readonly chat: boolean;
  /** The folder of the model that guesses ahead, or null. */
  readonly assistant: string | null;
  /** The backend, for people. */
  readonly backend: string;
  readonly threads: number;
  /** Names of the adapters on it, with a weight that is not 1 behind a colon. */
  readonly adapters: readonly string[];
  /** Defaults of `generation_config.json`, under Hugging Face's names. */
  readonly defaults: Readonly<Record<string, unknown>>;
  readonly loadMs: number;
}

export class LoadedGenerator extends BatchingGenerator {
  readonly info: ModelInfo;
  readonly tokenizer: Tokenizer;

  private constructor(info: ModelInfo, parts: GeneratorParts & { readonly tokenizer: Tokenizer }, batching: BatchingOptions | false) {
    super(parts, batching);
    this.info = info;
    this.tokenizer = parts.tokenizer;
  }

  /** Throws what the engine, the model and the tokenizer throw; nothing stays allocated then. */
  static async load(folder: string, options: LoadOptions = {}): Promise<LoadedGenerator> {
    const start = performance.now();
    const { adapters = [], assistant: chosen, dtype: asked, batching = {}, ...backendOptions } = options;
    if (chosen !== undefined && batching === false) {
      throw new OptionError('an assistant guesses ahead in a shared batch, and batching is false: leave out one of the two', { option: 'assistant', value: chosen });
    }
    const [tokenizer, generation] = await Promise.all([loadTokenizer(folder), loadGenerationConfig(folder)]);
    const assistantFolder = chosen === undefined ? null : await resolveAssistant(chosen.path, { folder, tokenizer });
    await using owned = new AsyncDisposableStack();
    const backend = owned.use(await createBackend(backendOptions));
    const model = owned.use(await loadModel(folder, { backend, ...(asked && { dtype: asked }) }));
    const { config } = model;
    const dtype = model.dtype === 'i32' ? 'f32' : model.dtype;
    const names: string[] = [];
    const active = [];
    for (const { path, weight = 1 } of adapters) {
      const adapterFolder = await resolveAdapter(path);
      active.push({ adapter: owned.use(await loadAdapter(adapterFolder, { backend, config })), weight });
      names.push(weight === 1 ? adapterName(adapterFolder) : `${adapterName(adapterFolder)}:${weight}`);
    }
    model.setAdapters(active);
    const assistantDtype = chosen?.dtype ?? asked;
    const assistant = assistantFolder === null ? undefined : owned.use(await loadModel(assistantFolder, { backend, ...(assistantDtype && { dtype: assistantDtype }) }));
    const info: ModelInfo = {
      folder, dtype,
      family: config.family,
      parameters: parameterCount(config),
      weightBytes: [...model.parameters.values()].reduce((sum, tensor) => sum + backend.byteLength(tensor.shape, tensor.dtype), 0),
      contextLength: config.contextLength,
      vocabSize: config.vocabSize,
      chat: tokenizer.chatTemplate !== undefined,
      adapters: names,
      assistant: assistantFolder,
      backend: backend.description,
      threads: backend.threads,
      defaults: generation.defaults,
      loadMs: performance.now() - start,
    };
    const kept = owned.move();
    const eosTokenId = generation.eosTokenIds.length > 0 ? generation.eosTokenIds : undefined;
    return new LoadedGenerator(info, { model, assistant, tokenizer, eosTokenId, onDispose: () => kept.disposeAsync() }, batching);
  }
}

/** The assistant's folder. Throws OptionError where its tokens are others than those of the model in `folder`, and ModelNotFoundError. */
async function resolveAssistant(name: string, { folder, tokenizer }: { folder: string; tokenizer: Tokenizer }): Promise<string> {
  const own = await resolveModel(name);
  const differs = own === folder ? null : firstDifference(tokenizer, await loadTokenizer(own));
  if (differs === null) return own;
  throw new OptionError(`the assistant ${name} has other tokens than the model (${differs}), so its guesses would mean something else: take a smaller model of the same family`, { option: 'assistant', value: name });
}

/** Models may leave rows of their tables unused, so that only tokens that both name are compared, and nearly all have to be. */
function firstDifference(ours: Tokenizer, theirs: Tokenizer): string | null {
  const common = Math.min(ours.vocabSize, theirs.vocabSize);
  if (common < 0.99 * Math.max(ours.vocabSize, theirs.vocabSize)) return `${theirs.vocabSize.toLocaleString('en')} of them, not ${ours.vocabSize.toLocaleString('en')}`;
  for (let id = 0; id < common; id++) {
    if (ours.idToToken(id) !== theirs.idToToken(id)) return `token ${id} is ${JSON.stringify(theirs.idToToken(id) ?? null)}, not ${JSON.stringify(ours.idToToken(id) ?? null)}`;
  }
  return null;
}
