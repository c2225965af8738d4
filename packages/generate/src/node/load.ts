/** Opens a model folder for generation on this thread: backend, weights, tokenizer, and what the folder says about them. */
import { type BackendOptions, createBackend } from '@parley/engine/node';
import { modelBytes, parameterCount, type TransformerConfig, type WeightDType } from '@parley/model';
import { loadGenerationConfig, loadModel } from '@parley/model/node';
import { loadTokenizer } from '@parley/tokenizer/node';
import { LocalGenerator } from '../generator.ts';

export interface LoadOptions extends BackendOptions {
  /** What the weights are held in. Default f32. */
  readonly dtype?: WeightDType;
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
  /** Defaults of `generation_config.json`, under Hugging Face's names. */
  readonly defaults: Readonly<Record<string, unknown>>;
  readonly loadMs: number;
}

export class LoadedGenerator extends LocalGenerator {
  readonly info: ModelInfo;

  private constructor(info: ModelInfo, parts: ConstructorParameters<typeof LocalGenerator>[0]) {
    super(parts);
    this.info = info;
  }

  /** Throws what the engine, the model and the tokenizer throw; nothing stays allocated then. */
  static async load(folder: string, options: LoadOptions = {}): Promise<LoadedGenerator> {
    const start = performance.now();
    const { dtype = 'f32', ...backendOptions } = options;
    const [tokenizer, generation] = await Promise.all([loadTokenizer(folder), loadGenerationConfig(folder)]);
    await using owned = new AsyncDisposableStack();
    const backend = owned.use(await createBackend(backendOptions));
    const model = owned.use(await loadModel(folder, { backend, dtype }));
    const { config } = model;
    const info: ModelInfo = {
      folder, dtype,
      family: config.family,
      parameters: parameterCount(config),
      weightBytes: modelBytes(backend, config, dtype),
      contextLength: config.contextLength,
      vocabSize: config.vocabSize,
      chat: tokenizer.chatTemplate !== undefined,
      backend: backend.description,
      threads: backend.threads,
      defaults: generation.defaults,
      loadMs: performance.now() - start,
    };
    const kept = owned.move();
    const eosTokenId = generation.eosTokenIds.length > 0 ? generation.eosTokenIds : undefined;
    return new LoadedGenerator(info, { model, tokenizer, eosTokenId, onDispose: () => kept.disposeAsync() });
  }
}
