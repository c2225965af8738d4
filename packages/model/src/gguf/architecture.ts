/**
 * The metadata of a GGUF file to a TransformerConfig. Keys are `ARCHITECTURE.name`; what a file says there and Parley does not compute
 * is an error. What no key says is seen in the tensors: biases, whether the output matrix is tied, and Llama 3's rotary factors.
 */
import { type GgufFile, type GgufPlain, plainMetadata } from '@parley/gguf';
import { checkConfig, type TransformerConfig } from '../config.ts';
import { ConfigError } from '../errors.ts';
import { bertConfig, gpt2Config, llamaConfig } from '../presets.ts';
import type { RopeScaling } from '../rope.ts';
import { type Architecture, ARCHITECTURES } from './names.ts';

/** Keys that say what the tensors say too, or nothing about the computation. */
const HARMLESS = new Set([
  'vocab_size', 'tensor_data_layout', 'attention.causal', 'pooling_type', 'rope.scaling.finetuned', 'rope.scaling.original_context_length',
]);

/** Keys with the one value that is computed. */
const FIXED: Readonly<Record<string, GgufPlain>> = {
  expert_count: 0, expert_used_count: 0, use_parallel_residual: false, 'attention.max_alibi_bias': 0, 'attention.clamp_kqv': 0, logit_scale: 1,
  attn_logit_softcapping: 0, final_logit_softcapping: 0,
};

/** What a file's metadata and tensor names make of it. `ropeFactors`: of the tensor rope_freqs.weight. */
export function configFromGguf(file: GgufFile, place: { readonly name: string; readonly ropeFactors?: readonly number[] }): TransformerConfig {
  const metadata = plainMetadata(file.metadata);
  const named = metadata['general.architecture'];
  const architecture = ARCHITECTURES.find((known) => known === named);
  if (architecture === undefined) {
    throw new ConfigError(
      `${place.name}: general.architecture is ${JSON.stringify(named) ?? 'missing'}; Parley knows ${ARCHITECTURES.join(', ')}: use a model of these`,
      { field: 'general.architecture', value: named },
    );
  }
  const keys = new Keys(metadata, architecture, place.name);
  const config = build(architecture, { keys, file, ropeFactors: place.ropeFactors });
  keys.finish();
  return checkConfig(config);
}

interface Parts {
  readonly keys: Keys;
  readonly file: GgufFile;
  readonly ropeFactors: readonly number[] | undefined;
}

function build(architecture: Architecture, parts: Parts): TransformerConfig {
  const { keys, file } = parts;
  const has = (tensor: string): boolean => file.tensors.has(tensor);
  const hiddenSize = keys.size('embedding_length');
  const heads = keys.size('attention.head_count');
  const size = {
    vocabSize: file.tensors.get('token_embd.weight')?.shape[0] ?? keys.missing('token_embd.weight', 'the tensor of that name'),
    contextLength: keys.size('context_length'), hiddenSize, heads, layers: keys.size('block_count'), intermediateSize: keys.size('feed_forward_length'),
    keyValueHeads: keys.size('attention.head_count_kv', heads), headSize: keys.size('attention.key_length', hiddenSize / heads),
  };
  keys.expect('attention.value_length', size.headSize);
  if (size.layers > file.tensors.size) keys.refuse('block_count', size.layers, `the file has ${file.tensors.size} tensors, fewer than one a layer: it is damaged`);
  if (architecture === 'gpt2' || architecture === 'bert') {
    keys.expect('attention.key_length', hiddenSize / heads);
    const normEpsilon = keys.float('attention.layer_norm_epsilon');
    if (architecture === 'gpt2') return { ...gpt2Config(size), normEpsilon, tieEmbeddings: !has('output.weight') };
    const { tokenTypes: _, ...config } = bertConfig(size);
    const tokenTypes = file.tensors.get('token_types.weight')?.shape[0];
    return { ...config, normEpsilon, head: 'none', ...(tokenTypes !== undefined && { tokenTypes }) };
  }
  const attentionBias = has('blk.0.attn_q.bias');
  const outputBias = has('blk.0.attn_output.bias');
  const config: TransformerConfig = {
    ...llamaConfig(size),
    normEpsilon: keys.float('attention.layer_norm_rms_epsilon'),
    ropeTheta: keys.float('rope.freq_base', 10_000),
    ...scalingOf(parts, size.headSize),
    tieEmbeddings: !has('output.weight'),
    attentionBias,
    ...(outputBias !== attentionBias && { attentionOutputBias: outputBias }),
    mlpBias: has('blk.0.ffn_up.bias'),
  };
  keys.expect('rope.dimension_count', size.headSize);
  switch (architecture) {
    case 'llama': {
      const window = keys.optional('attention.sliding_window') ?? 0;
      return window > 0 && window < size.contextLength ? { ...config, family: 'mistral', slidingWindow: window } : config;
    }
    case 'qwen2':
      return { ...config, family: 'qwen2' };
    case 'qwen3':
      return { ...config, family: 'qwen3', queryKeyNorm: true };
    case 'gemma':
      return { ...config, family: 'gemma', activation: 'gelu_tanh', embeddingScale: embeddingScale(hiddenSize) };
    case 'gemma3': {
      const window = keys.size('attention.sliding_window');
      const pattern = keys.size('attention.sliding_window_pattern', 6);
      const slidingRopeTheta = keys.float('rope.freq_base_swa', 10_000);
      // The 27B model alone divides by other than a head's size, and is known by its layers, as in llama.cpp.
      const attentionScale = (size.layers === 62 ? hiddenSize / heads : size.headSize) ** -0.5;
      const slidingLayers = Array.from({ length: size.layers }, (_, layer) => (layer + 1) % pattern !== 0);
      return {
        ...config, family: 'gemma3_text', activation: 'gelu_tanh', embeddingScale: embeddingScale(hiddenSize), attentionScale, queryKeyNorm: true,
        outputNorms: true, slidingRopeTheta, slidingWindow: window, ...(slidingLayers.includes(false) && { slidingLayers }),
      };
    }
  }
}

/** As the reference implementations compute it: in f32. */
export const embeddingScale = (hiddenSize: number): number => Math.fround(Math.sqrt(hiddenSize));

function scalingOf({ keys, ropeFactors }: Parts, headSize: number): { ropeScaling?: RopeScaling } {
  if (ropeFactors) {
    if (ropeFactors.length !== headSize / 2) keys.refuse('rope.dimension_count', headSize, `rope_freqs.weight has ${ropeFactors.length} factors for heads of ${headSize}`);
    keys.expect('rope.scaling.type', 'none');
    return { ropeScaling: { type: 'factors', factors: ropeFactors } };
  }
  const type = keys.text('rope.scaling.type', 'none');
  const factor = keys.float('rope.scaling.factor', keys.float('rope.scale_linear', 1));
  if (type === 'none' && factor === 1) return {};
  switch (type) {
    case 'none':
    case 'linear':
      return { ropeScaling: { type: 'linear', factor } };
    case 'yarn': {
      keys.expect('rope.scaling.yarn_ext_factor', 1);
      keys.expect('rope.scaling.yarn_log_multiplier', 0);
      const magnitude = keys.float('rope.scaling.yarn_attn_factor', keys.float('rope.scaling.attn_factor', 1));
      return {
        ropeScaling: {
          type: 'yarn', factor, originalContext: keys.size('rope.scaling.original_context_length'),
          betaFast: keys.float('rope.scaling.yarn_beta_fast', 32), betaSlow: keys.float('rope.scaling.yarn_beta_slow', 1),
          ...(magnitude !== 1 && { attentionFactor: magnitude * (0.1 * Math.log(factor) + 1) }),
        },
      };
    }
    default:
      return keys.refuse('rope.scaling.type', type, 'Parley computes none, linear and yarn: use a model without it');
  }
}

/** The keys of one architecture. What nobody asked for is refused at the end. */
class Keys {
  readonly #metadata: Readonly<Record<string, GgufPlain>>;
  readonly #prefix: string;
  readonly #file: string;
  readonly #read = new Set<string>();

  constructor(metadata: Readonly<Record<string, GgufPlain>>, architecture: Architecture, file: string) {
    this.#metadata = metadata;
    this.#prefix = `${architecture}.`;
    this.#file = file;
  }

  #get(name: string): GgufPlain | undefined {
    this.#read.add(name);
    return this.#metadata[this.#prefix + name];
  }

  refuse(name: string, value: unknown, remedy: string): never {
    const field = this.#prefix + name;
    throw new ConfigError(`${this.#file}: ${field} is ${value === undefined ? 'missing' : show(value)}: ${remedy}`, { field, value });
  }

  missing(name: string, what: string): never {
    throw new ConfigError(`${this.#file}: ${what} is missing: the file holds no whole model; take one that does`, { field: name, value: undefined });
  }

  /** A whole number from 1. */
  size(name: string, fallback?: number): number {
    const value = this.#get(name) ?? fallback;
    if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 1) this.refuse(name, value, 'it has to be a whole number from 1, the same in every layer');
    return value;
  }

  optional(name: string): number | undefined {
    const value = this.#get(name);
    if (value !== undefined && typeof value !== 'number') this.refuse(name, value, 'it has to be a number');
    return value as number | undefined;
  }

  /** A number above 0. */
  float(name: string, fallback?: number): number {
    const value = this.#get(name) ?? fallback;
    if (typeof value !== 'number' || !(value > 0) || !Number.isFinite(value)) this.refuse(name, value, 'it has to be a finite number above 0');
    return shortest(value);
  }

  text(name: string, fallback: string): string {
    const value = this.#get(name) ?? fallback;
    if (typeof value !== 'string') this.refuse(name, value, 'it has to be a text');
    return value;
  }

  /** Absent, or this value. */
  expect(name: string, wanted: GgufPlain): void {
    const value = this.#get(name);
    if (value !== undefined && value !== wanted) this.refuse(name, value, `Parley computes only ${show(wanted)}: use a model with that`);
  }

  finish(): void {
    for (const [key, value] of Object.entries(this.#metadata)) {
      if (!key.startsWith(this.#prefix)) continue;
      const name = key.slice(this.#prefix.length);
      if (this.#read.has(name) || HARMLESS.has(name)) continue;
      if (!Object.hasOwn(FIXED, name)) this.refuse(name, value, 'Parley does not know the field, and it may change the computation: use another model');
      this.expect(name, FIXED[name]!);
    }
  }
}

const show = (value: unknown): string => {
  const text = typeof value === 'bigint' ? String(value) : JSON.stringify(value);
  return text.length <= 80 ? text : `${text.slice(0, 77)}…`;
};

/** The shortest decimal number with the same value in f32: 1e-5, and not what f32 makes of it. */
function shortest(value: number): number {
  for (let digits = 1; digits <= 9; digits++) {
    const rounded = Number(value.toPrecision(digits));
    if (Math.fround(rounded) === value) return rounded;
  }
  return value;
}
