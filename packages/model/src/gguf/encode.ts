/**
 * A model as a GGUF file that llama.cpp loads. Matrices are written in the type asked for; norms, biases and other vectors in F32, as
 * llama.cpp has them, and learned positions and token types in F32 too. In Q4_0 files the matrix that makes the logits, which is the
 * embedding table where the two are tied, is Q8_0: it is the one where four bits cost the most.
 */
import type { Tensor } from '@parley/engine';
import { encodeGgufHeader, type GgufMetadata, type GgufValue, padding, TENSOR_TYPES } from '@parley/gguf';
import type { TransformerConfig } from '../config.ts';
import { CheckpointError, ConfigError, count } from '../errors.ts';
import { rotaryFrequencies } from '../rope.ts';
import type { Transformer } from '../transformer.ts';
import { embeddingScale } from './architecture.ts';
import { encodeBlocks, type WrittenType } from './blocks.ts';
import { architectureOf, ggufTensors, type GgufStored, permutePairs } from './names.ts';

/** What matrices are stored in. */
export type GgufDType = 'f32' | 'f16' | 'q8_0' | 'q4_0';

const TYPES = { f32: 'F32', f16: 'F16', q8_0: 'Q8_0', q4_0: 'Q4_0' } as const satisfies Record<GgufDType, WrittenType>;
/** `general.file_type`. */
const FILE_TYPES: Readonly<Record<GgufDType, number>> = { f32: 0, f16: 1, q4_0: 2, q8_0: 7 };
const CHUNK = 1 << 20;

export interface EncodeGgufOptions {
  /** Default f16. */
  readonly dtype?: GgufDType;
  /** `general.name`. */
  readonly name?: string;
  /** The tokenizer's keys and any others; they follow the model's own. */
  readonly metadata?: GgufMetadata;
  readonly signal?: AbortSignal;
}

interface Written extends GgufStored {
  readonly type: WrittenType;
  /** Where the values are no parameter. */
  readonly values?: Float32Array;
}

/**
 * The file, piece by piece. f32 models only. Throws CheckpointError when the model is quantized or a value is too large for f16,
 * ConfigError for what llama.cpp's architecture of the family does not compute.
 */
export async function* encodeGguf(model: Transformer, options: EncodeGgufOptions = {}): AsyncGenerator<Uint8Array<ArrayBuffer>, void, void> {
  const { dtype = 'f16', name, metadata = new Map<string, GgufValue>(), signal } = options;
  const { config } = model;
  if (model.dtype !== 'f32') {
    throw new CheckpointError(`a model held in ${model.dtype} has lost the weights it came from: load it in f32 to save it`, { file: '' });
  }
  checkWritable(config);
  const tensors: Written[] = ggufTensors(config).map((stored) => ({ ...stored, type: typeOf(stored, dtype, config) }));
  const factors = ropeFactors(config);
  if (factors) tensors.splice(1, 0, { name: 'rope_freqs.weight', shape: [factors.length], parameters: [], type: 'F32', values: factors });
  const general: [string, GgufValue][] = [
    ['general.architecture', text(architectureOf(config))], ['general.type', text('model')], ...(name === undefined ? [] : [['general.name', text(name)] as [string, GgufValue]]),
    ['general.file_type', u32(FILE_TYPES[dtype])], ['general.quantization_version', u32(2)],
  ];
  yield encodeGgufHeader({ metadata: new Map([...general, ...architectureKeys(config), ...metadata]), tensors });
  for (const tensor of tensors) {
    signal?.throwIfAborted();
    let bytes = 0;
    for await (const values of valuesOf(model, tensor)) {
      const piece = encode(values, tensor);
      bytes += piece.length;
      yield piece;
    }
    yield padding(bytes);
  }
}

const text = (value: string): GgufValue => ({ type: 'string', value });
const u32 = (value: number): GgufValue => ({ type: 'u32', value });
const f32 = (value: number): GgufValue => ({ type: 'f32', value });

function typeOf({ name, shape }: GgufStored, dtype: GgufDType, config: TransformerConfig): WrittenType {
  if (shape.length < 2 || name === 'position_embd.weight' || name === 'token_types.weight') return 'F32';
  const isOutput = name === 'output.weight' || (name === 'token_embd.weight' && config.tieEmbeddings && config.head === undefined);
  const type = dtype === 'q4_0' && isOutput ? 'Q8_0' : TYPES[dtype];
  // Rows that are no whole blocks stay floats, as in llama.cpp.
  return (shape.at(-1) ?? 0) % TENSOR_TYPES[type].values === 0 ? type : 'F16';
}

function architectureKeys(config: TransformerConfig): [string, GgufValue][] {
  const { headSize, ropeScaling } = config;
  const architecture = architectureOf(config);
  const keys: [string, GgufValue][] = [
    ['vocab_size', u32(config.vocabSize)],
    // llama.cpp has no window here: up to its length, the model computes the same without.
    ['context_length', u32(Math.min(config.contextLength, architecture === 'gemma3' ? Infinity : config.slidingWindow ?? Infinity))],
    ['embedding_length', u32(config.hiddenSize)], ['block_count', u32(config.layers)], ['feed_forward_length', u32(config.intermediateSize)],
    ['attention.head_count', u32(config.heads)], ['attention.head_count_kv', u32(config.keyValueHeads)],
    [config.norm === 'rms' ? 'attention.layer_norm_rms_epsilon' : 'attention.layer_norm_epsilon', f32(config.normEpsilon)],
  ];
  if (config.positions === 'rotary') {
    keys.push(
      ['attention.key_length', u32(headSize)], ['attention.value_length', u32(headSize)], ['rope.dimension_count', u32(headSize)],
      ['rope.freq_base', f32(config.ropeTheta)],
    );
  }
  if (ropeScaling?.type === 'linear' || ropeScaling?.type === 'yarn') {
    keys.push(['rope.scaling.type', text(ropeScaling.type)], ['rope.scaling.factor', f32(ropeScaling.factor)]);
  }
  if (ropeScaling?.type === 'yarn') {
    const { factor, originalContext, betaFast, betaSlow, attentionFactor } = ropeScaling;
    keys.push(['rope.scaling.original_context_length', u32(originalContext)]);
    if (betaFast !== 32) keys.push(['rope.scaling.yarn_beta_fast', f32(betaFast)]);
    if (betaSlow !== 1) keys.push(['rope.scaling.yarn_beta_slow', f32(betaSlow)]);
    if (attentionFactor !== undefined) keys.push(['rope.scaling.yarn_attn_factor', f32(attentionFactor / (0.1 * Math.log(factor) + 1))]);
  }
  if (architecture === 'gemma3' && config.slidingWindow !== undefined) keys.push(['attention.sliding_window', u32(config.slidingWindow)]);
  if (architecture === 'bert') keys.push(['attention.causal', { type: 'bool', value: false }], ['pooling_type', u32(0)]);
  return keys.map(([key, value]) => [`${architecture}.${key}`, value]);
}

/** What each rotary frequency is divided by, for scalings that only a tensor can say. */
function ropeFactors({ headSize, ropeTheta, ropeScaling }: TransformerConfig): Float32Array | null {
  if (ropeScaling?.type === 'factors') return Float32Array.from(ropeScaling.factors);
  if (ropeScaling?.type !== 'llama3') return null;
  const [plain, scaled] = [rotaryFrequencies(headSize, ropeTheta), rotaryFrequencies(headSize, ropeTheta, ropeScaling)];
  return Float32Array.from(plain.frequencies, (frequency, i) => frequency / scaled.frequencies[i]!);
}

/** Throws ConfigError for what a file of this architecture cannot say and llama.cpp takes for granted. */
function checkWritable(config: TransformerConfig): void {
  const architecture = architectureOf(config);
  const expect = (field: keyof TransformerConfig, wanted: unknown): void => {
    const value = config[field];
    if (JSON.stringify(value) === JSON.stringify(wanted)) return;
    throw new ConfigError(
      `GGUF's ${architecture} cannot say ${field}: ${JSON.stringify(value) ?? 'none'}, it is always ${JSON.stringify(wanted) ?? 'none'} there: write safetensors`,
      { field, value },
    );
  };
  const activation = architecture === 'bert' ? 'gelu' : architecture === 'gpt2' || architecture.startsWith('gemma') ? 'gelu_tanh' : 'silu';
  expect('activation', activation);
  if (architecture === 'bert') expect('head', 'none');
  if (architecture.startsWith('gemma')) expect('embeddingScale', embeddingScale(config.hiddenSize));
  else expect('embeddingScale', undefined);
  if (architecture === 'gemma3') {
    if (config.slidingRopeTheta !== undefined) expect('slidingRopeTheta', 10_000);
    const layers = Array.from({ length: config.layers }, (_, layer) => (layer + 1) % 6 !== 0);
    if (config.slidingLayers !== undefined) expect('slidingLayers', layers);
    if (config.slidingWindow === undefined) expect('slidingWindow', 512);
    const scale = (config.layers === 62 ? config.hiddenSize / config.heads : config.headSize) ** -0.5;
    if (config.attentionScale !== undefined && Math.abs(config.attentionScale - scale) > 1e-9) expect('attentionScale', scale);
  } else {
    expect('attentionScale', undefined);
  }
}

/** The values of a tensor as they lie in the file. */
async function* valuesOf(model: Transformer, tensor: Written): AsyncGenerator<Float32Array, void, void> {
  if (tensor.values) yield tensor.values;
  const { headSize } = model.config;
  for (const name of tensor.parameters) {
    const parameter: Tensor = model.parameters.get(name)!;
    const rows = parameter.dim(0);
    const width = parameter.size / rows;
    const unit = tensor.paired === undefined ? 1 : headSize;
    const step = Math.max(1, Math.floor(CHUNK / (width * unit))) * unit;
    for (let row = 0; row < rows; row += step) {
      const values = await parameter.rows(row, Math.min(rows, row + step)).read();
      if (tensor.paired === undefined) {
        yield values;
        continue;
      }
      const placed = new Float32Array(values.length);
      permutePairs(values, placed, { headRows: headSize, width, to: 'neighbours' });
      yield placed;
    }
  }
}

/** The largest value a block's f16 may come from: its scale is a part of the largest value. */
const LARGEST: Readonly<Record<WrittenType, number>> = { F32: Infinity, F16: 65_519, Q8_0: 65_504 * 127, Q4_0: 65_504 * 8 };

function encode(values: Float32Array, { name, type }: Written): Uint8Array<ArrayBuffer> {
  const limit = LARGEST[type];
  const unfit = values.find((value) => !Number.isFinite(value) || Math.abs(value) > limit);
  if (unfit !== undefined && type !== 'F32') {
    throw new CheckpointError(`tensor ${name} has the value ${Number.isFinite(unfit) ? count(unfit) : unfit}, which ${type} cannot hold: save it in f32`, {
      file: '',
      tensor: name,
    });
  }
  return encodeBlocks(type, values);
}
