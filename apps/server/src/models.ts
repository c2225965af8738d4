/**
 * The models a server answers with: opened when they are first asked for, then kept. Names of OpenAI's older engines stand for
 * the default, so that programs written for them run unchanged; the answer says which model really spoke.
 */
import type { SchedulerStats } from '@parley/generate';
import { type ModelGenerator, openGenerator, type OpenOptions } from '@parley/generate/node';
import { listModels, resolveModel } from '@parley/model/node';
import { ApiError } from '@parley/protocol';
import type { Tokenizer } from '@parley/tokenizer';
import { loadTokenizer } from '@parley/tokenizer/node';
import { Provider } from './providers/provider.ts';
import { type ProviderConfig, resolveProvider } from './providers/settings.ts';

/** Engines of 2020 to 2022 that programs still name. */
export const legacyEngines: readonly string[] = [
  'ada', 'babbage', 'curie', 'davinci', 'text-ada-001', 'text-babbage-001', 'text-curie-001', 'text-davinci-001', 'text-davinci-002', 'text-davinci-003',
  'gpt-3.5-turbo-instruct', 'babbage-002', 'davinci-002',
];

export interface OpenModel {
  /** The name it is known by here. */
  readonly id: string;
  readonly generator: ModelGenerator;
  readonly tokenizer: Tokenizer;
  readonly contextLength: number;
  /** Defaults of its generation_config.json, by Hugging Face's names. */
  readonly defaults: Readonly<Record<string, unknown>>;
}

/** A model that another endpoint computes. Requests for it are passed on (providers/routes.ts). */
export interface RemoteModel {
  /** `provider/model`. */
  readonly id: string;
  readonly provider: Provider;
  /** Its name there. */
  readonly model: string;
}

export interface ModelsOptions {
  /** Names or paths; the first is the default. Others that are on this machine are served when asked for. */
  readonly models: readonly string[];
  readonly open?: OpenOptions;
  /** Other names → names of models: `{ 'gpt-4o-mini': 'parley-mini' }`. */
  readonly aliases?: Readonly<Record<string, string>>;
  /** Other endpoints. Their models are `provider/model`, also in `models` and `aliases`. */
  readonly providers?: readonly ProviderConfig[];
}

export class Models implements AsyncDisposable {
  readonly #options: ModelsOptions;
  readonly #open = new Map<string, Promise<OpenModel>>();
  readonly #providers: ReadonlyMap<string, Provider>;

  /** Throws where no model is named, and ProviderError. */
  constructor(options: ModelsOptions) {
    if (options.models.length === 0) throw new Error('a server needs at least one model: name it');
    this.#options = options;
    const providers = (options.providers ?? []).map((config) => new Provider(resolveProvider(config)));
    this.#providers = new Map(providers.map((provider) => [provider.name, provider]));
    if (this.#providers.size < providers.length) throw new Error(`two providers have one name: ${providers.map(({ name }) => name).join(', ')}`);
  }

  get defaultModel(): string {
    return this.#options.models[0] ?? '';
  }

  /** All that can be asked for: those named, then those that are on this machine, then those of providers. */
  async list(): Promise<readonly string[]> {
    const remote = [...this.#providers.values()].map(async (provider) => (await provider.list()).map((model) => `${provider.name}/${model}`));
    return [...new Set([...(await this.#listLocal()), ...(await Promise.all(remote)).flat()])];
  }

  get hasProviders(): boolean {
    return this.#providers.size > 0;
  }

  /** Whose model it is: a provider's name, or null for ours. */
  ownerOf(name: string): string | null {
    return this.remote(name)?.provider.name ?? null;
  }

  /** The model of a name where another endpoint computes it; null for ours. Throws ApiError 404 for one that its provider does not offer. */
  remote(name: string): RemoteModel | null {
    const id = this.#resolveName(name);
    const slash = id.indexOf('/');
    const provider = this.#providers.get(id.slice(0, Math.max(0, slash)));
    if (provider === undefined) return null;
    const model = provider.modelThere(id.slice(slash + 1));
    if (model !== undefined) return { id, provider, model };
    throw new ApiError(`The model '${id}' is not one of those that this server has of '${provider.name}'.`, {
      status: 404, type: 'not_found_error', param: 'model', code: 'model_not_found',
    });
  }

  /** Loads the default model, if it is one of ours. Throws what loading throws. */
  async preload(): Promise<void> {
    if (this.remote(this.defaultModel) === null) await this.get(this.defaultModel);
  }

  async #listLocal(): Promise<readonly string[]> {
    return [...new Set([...this.#options.models, ...(await listModels()).map(({ name }) => name)])];
  }

  /** The model of a name, loading it at first. Throws ApiError 404 `model_not_found`. */
  async get(name: string): Promise<OpenModel> {
    const remote = this.remote(name);
    if (remote !== null) {
      throw new ApiError(
        `The model '${remote.id}' is computed by another server, to which only chat completions, completions and embeddings are passed on.`,
        { status: 400, param: 'model', code: 'unsupported_model' },
      );
    }
    const id = this.#resolveName(name);
    let opening = this.#open.get(id);
    if (opening === undefined) {
      const known = await this.#listLocal();
      if (!known.includes(id)) throw notFound(name, known);
      opening = this.#open.get(id) ?? this.#load(id);
      this.#open.set(id, opening);
      // A model that failed to load may be there at the next request.
      opening.catch(() => this.#open.delete(id));
    }
    return opening;
  }

  /** Of the models that are open. */
  async stats(): Promise<readonly { readonly id: string; readonly stats: SchedulerStats }[]> {
    const open = await Promise.allSettled(this.#open.values());
    return Promise.all(open.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : [])).map(async ({ id, generator }) => ({ id, stats: await generator.stats() })));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const open = await Promise.allSettled(this.#open.values());
    await Promise.all(open.map(async (result) => (result.status === 'fulfilled' ? result.value.generator.dispose() : undefined)));
  }

  #resolveName(name: string): string {
    const { aliases = {} } = this.#options;
    if (Object.hasOwn(aliases, name)) return aliases[name] ?? name;
    return name === 'default' || legacyEngines.includes(name) ? this.defaultModel : name;
  }

  async #load(id: string): Promise<OpenModel> {
    const folder = await resolveModel(id);
    const [generator, tokenizer] = await Promise.all([openGenerator(id, this.#options.open ?? {}), loadTokenizer(folder)]);
    const { contextLength, defaults } = generator.info;
    return { id, generator, tokenizer, contextLength, defaults };
  }
}

const notFound = (name: string, known: readonly string[]): ApiError => new ApiError(
  `The model '${name}' does not exist here. There are: ${known.join(', ')}.`, { status: 404, type: 'not_found_error', param: 'model', code: 'model_not_found' },
);
