/** Opens a model folder for generation on this thread: backend, weights, tokenizer, and what the folder says about them. */
import { type BackendOptions, createBackend } from '@parley/engine/node';
import { parameterCount, type TransformerConfig, type WeightDType } from '@parley/model';
import { adapterName, loadAdapter, loadGenerationConfig, loadModel, resolveAdapter } from '@parley/model/node';
import type { Tokenizer } from '@parley/tokenizer';
import { loadTokenizer } from '@parley/tokenizer/node';
import { BatchingGenerator } from '../batching/batching-generator.ts';
import type { BatchingOptions } from '../batching/settings.ts';
import type { GeneratorParts } from '../generator.ts';

export interface LoadOptions extends BackendOptions {
  /** What the weights are held in. Default f32; for a quantized GGUF file what is nearest to it (`loadModel`). */
  readonly dtype?: WeightDType;
  /** LoRA adapters laid on the model, by name or path. What several add is summed. */
  readonly adapters?: readonly AdapterChoice[];
  /** How requests share the model (see BatchingOptions). false: each is computed by itself, and nothing is remembered between them. */
  readonly batching?: BatchingOptions | false;
}

export interface AdapterChoice {
  /** A run's name, its folder, or an adapter's. */
  readonly path: string;
  /** How strongly it acts. Default 1. */
  readonly weight?: number;
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
    const { adapters = [], dtype: asked, batching = {}, ...backendOptions } = options;
    const [tokenizer, generation] = await Promise.all([loadTokenizer(folder), loadGenerationConfig(folder)]);
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
    const info: ModelInfo = {
      folder, dtype,
      family: config.family,
      parameters: parameterCount(config),
      weightBytes: [...model.parameters.values()].reduce((sum, tensor) => sum + backend.byteLength(tensor.shape, tensor.dtype), 0),
      contextLength: config.contextLength,
      vocabSize: config.vocabSize,
      chat: tokenizer.chatTemplate !== undefined,
      adapters: names,
      backend: backend.description,
      threads: backend.threads,
      defaults: generation.defaults,
      loadMs: performance.now() - start,
    };
    const kept = owned.move();
    const eosTokenId = generation.eosTokenIds.length > 0 ? generation.eosTokenIds : undefined;
    return new LoadedGenerator(info, { model, tokenizer, eosTokenId, onDispose: () => kept.disposeAsync() }, batching);
  }
}
