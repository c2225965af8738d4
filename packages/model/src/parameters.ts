/**
 * What a configuration's weights are called, what shape they have and what part they play.
 *
 * Names are those of Hugging Face's Llama, for every family, and for what Llama lacks: `model.embed_positions.weight`,
 * `model.embed_token_types.weight`, `model.embed_norm`; a layer's `self_attn.q_norm` and `k_norm`, and the norms behind its sublayers,
 * `attention_output_layernorm` and `mlp_output_layernorm`; `pooler.dense`; `masked_head.dense`, `.norm` and `.bias`. All linear weights
 * are stored (out, in). The gain of a norm is what it multiplies with, also where files store it less 1.
 */
import { type Backend, type DType, formatBytes, MemoryLimitError, type Shape, Tensor } from '@parley/engine';
import { checkConfig, hasSlidingTheta, type TransformerConfig } from './config.ts';
import { ModelError } from './errors.ts';
import { rotaryBytes } from './rotary.ts';

/** How a model's matrices are held in memory. Norms, biases and learned positions are f32 in every case. */
export type WeightDType = Extract<DType, 'f32' | 'q8' | 'q4'>;

/** One dtype for all matrices, or one for each, quantized ones all: a file may have them in several. */
export type HeldIn = WeightDType | ((spec: ParameterSpec) => Exclude<WeightDType, 'f32'>);

export interface ParameterSpec {
  readonly name: string;
  readonly shape: Shape;
  /** `tokens`, `positions` (token types too): lookup tables. `matrix`: a linear layer's weight. `gain`: a norm's. */
  readonly kind: 'tokens' | 'positions' | 'matrix' | 'gain' | 'bias';
  /** Whether it writes into the residual stream, as the last matrix of a sublayer does. */
  readonly residual: boolean;
}

/** Every parameter of the model, in the order of the forward pass. Tied embeddings have no `lm_head.weight`. */
export function parameterSpecs(config: TransformerConfig): ParameterSpec[] {
  const { hiddenSize: c, vocabSize, intermediateSize, attentionBias, mlpBias } = checkConfig(config);
  const queries = config.heads * config.headSize;
  const keys = config.keyValueHeads * config.headSize;
  const specs: ParameterSpec[] = [];
  const norm = (name: string, size = c): void => {
    specs.push({ name: `${name}.weight`, shape: [size], kind: 'gain', residual: false });
    if (config.norm === 'layer') specs.push({ name: `${name}.bias`, shape: [size], kind: 'bias', residual: false });
  };
  const linear = (name: string, size: { out: number; in: number; bias: boolean; residual?: boolean }): void => {
    const { residual = false } = size;
    specs.push({ name: `${name}.weight`, shape: [size.out, size.in], kind: 'matrix', residual });
    if (size.bias) specs.push({ name: `${name}.bias`, shape: [size.out], kind: 'bias', residual: false });
  };

  specs.push({ name: 'model.embed_tokens.weight', shape: [vocabSize, c], kind: 'tokens', residual: false });
  if (config.positions === 'learned') {
    specs.push({ name: 'model.embed_positions.weight', shape: [config.contextLength, c], kind: 'positions', residual: false });
  }
  if (config.tokenTypes !== undefined) {
    specs.push({ name: 'model.embed_token_types.weight', shape: [config.tokenTypes, c], kind: 'positions', residual: false });
  }
  if (config.embeddingNorm) norm('model.embed_norm');
  const isBefore = config.normPlacement !== 'after';
  const isBehind = !isBefore || config.outputNorms === true;
  for (let layer = 0; layer < config.layers; layer++) {
    const block = `model.layers.${layer}`;
    if (isBefore) norm(`${block}.input_layernorm`);
    linear(`${block}.self_attn.q_proj`, { out: queries, in: c, bias: attentionBias });
    linear(`${block}.self_attn.k_proj`, { out: keys, in: c, bias: attentionBias });
    linear(`${block}.self_attn.v_proj`, { out: keys, in: c, bias: attentionBias });
    if (config.queryKeyNorm) for (const part of ['q_norm', 'k_norm']) norm(`${block}.self_attn.${part}`, config.headSize);
    linear(`${block}.self_attn.o_proj`, { out: c, in: queries, bias: config.attentionOutputBias ?? attentionBias, residual: true });
    if (isBehind) norm(`${block}.attention_output_layernorm`);
    if (isBefore) norm(`${block}.post_attention_layernorm`);
    if (config.gated) linear(`${block}.mlp.gate_proj`, { out: intermediateSize, in: c, bias: mlpBias });
    linear(`${block}.mlp.up_proj`, { out: intermediateSize, in: c, bias: mlpBias });
    linear(`${block}.mlp.down_proj`, { out: c, in: intermediateSize, bias: mlpBias, residual: true });
    if (isBehind) norm(`${block}.mlp_output_layernorm`);
  }
  if (isBefore) norm('model.norm');
  if (config.pooler) linear('pooler.dense', { out: c, in: c, bias: true });
  if (config.head === 'masked') {
    linear('masked_head.dense', { out: c, in: c, bias: true });
    norm('masked_head.norm');
    specs.push({ name: 'masked_head.bias', shape: [vocabSize], kind: 'bias', residual: false });
  }
  if (!config.tieEmbeddings && config.head === undefined) linear('lm_head', { out: vocabSize, in: c, bias: false });
  return specs;
}

const sizeOf = (shape: Shape): number => shape.reduce((product, extent) => product * extent, 1);

/** Number of trained values; tied embeddings count once. */
export function parameterCount(config: TransformerConfig): number {
  return parameterSpecs(config).reduce((sum, spec) => sum + sizeOf(spec.shape), 0);
}

/** The dtype a parameter takes in a model held in `dtype`. */
const storedDType = (spec: ParameterSpec, dtype: HeldIn): WeightDType =>
  spec.kind !== 'matrix' && spec.kind !== 'tokens' ? 'f32' : typeof dtype === 'string' ? dtype : dtype(spec);

/** Bytes of weights and of rotary tables, as a model has them when it is loaded, in a backend's memory. Throws ModelError when a matrix cannot be held in `dtype`. */
export function modelBytes(backend: Backend, config: TransformerConfig, dtype: HeldIn = 'f32'): number {
  let bytes = config.positions === 'rotary' ? (hasSlidingTheta(config) ? 2 : 1) * rotaryBytes(config) : 0;
  for (const spec of parameterSpecs(config)) {
    const stored = storedDType(spec, dtype);
    const columns = spec.shape.at(-1) ?? 0;
    if (stored !== 'f32' && columns % 32 !== 0) {
      throw new ModelError(
        `${spec.name} [${spec.shape.join(', ')}] cannot be held in ${stored}, which takes rows in blocks of 32 columns: ` +
          `${columns} is not a multiple of 32, use dtype "f32"`,
      );
    }
    bytes += backend.byteLength(spec.shape, stored);
  }
  return bytes;
}

/**
 * Allocates a model's parameters one at a time while someone fills them. Quantized ones pass through one f32 buffer as large
 * as the largest of them, so that the model is never held in f32 as a whole.
 */
export class ParameterBuilder implements Disposable {
  readonly specs: readonly ParameterSpec[];
  readonly #backend: Backend;
  readonly #dtype: HeldIn;
  readonly #built = new Map<string, Tensor>();
  #staging: Tensor | null = null;

  /** Throws MemoryLimitError, before anything is allocated, when the model does not fit. */
  constructor(backend: Backend, config: TransformerConfig, dtype: HeldIn) {
    this.#backend = backend;
    this.#dtype = dtype;
    this.specs = parameterSpecs(config);
    const staged = Math.max(0, ...this.specs.filter((s) => storedDType(s, dtype) !== 'f32').map((s) => sizeOf(s.shape)));
    const requestedBytes = modelBytes(backend, config, dtype) + 4 * staged;
    const { allocatedBytes: usedBytes, limitBytes } = backend.stats();
    if (usedBytes + requestedBytes > limitBytes) {
      const others = dtype === 'f32' ? 'load it in dtype "q8" or "q4", or ' : dtype === 'q4' ? '' : 'load it in dtype "q4", or ';
      throw new MemoryLimitError(
        `the model (${parameterCount(config).toLocaleString('en-US')} parameters in ${typeof dtype === 'string' ? dtype : 'q8 and q4'}` +
          `${staged > 0 ? `, with ${formatBytes(4 * staged)} to quantize through` : ''})`,
        { requestedBytes, usedBytes, limitBytes },
        `${others}choose a smaller one`,
      );
    }
    if (staged > 0) this.#staging = Tensor.allocate(backend, [staged]);
  }

  /** Has `fill` write all of an f32 tensor of the parameter's shape, then keeps it as the model wants it. */
  async add(spec: ParameterSpec, fill: (target: Tensor) => Promise<void>): Promise<void> {
    const { target, done } = this.#begin(spec);
    await fill(target);
    done();
  }

  /** `add` for values that are at hand. */
  addSync(spec: ParameterSpec, values: Float32Array): void {
    const { target, done } = this.#begin(spec);
    target.write(values);
    done();
  }

  #begin(spec: ParameterSpec): { target: Tensor; done: () => void } {
    const tensor = Tensor.allocate(this.#backend, spec.shape, storedDType(spec, this.#dtype));
    this.#built.set(spec.name, tensor);
    if (tensor.dtype === 'f32') return { target: tensor, done: () => {} };
    if (this.#staging === null) throw new ModelError('parameters are added to a builder that is finished: make a new one');
    const target = this.#staging.rows(0, tensor.size).reshape(...spec.shape);
    return { target, done: () => this.#backend.quantize({ out: tensor, x: target }) };
  }

  /** Hands the parameters, in the order of `specs`, to the model that `make` builds of them, which owns them once it stands. */
  finish<Model>(make: (parameters: Map<string, Tensor>) => Model): Model {
    this.#staging?.dispose();
    this.#staging = null;
    const missing = this.specs.filter(({ name }) => !this.#built.has(name));
    if (missing.length > 0) throw new ModelError(`the parameters ${missing.map(({ name }) => name).join(', ')} were never filled`);
    const model = make(new Map(this.specs.map(({ name }) => [name, this.#built.get(name)!])));
    this.#built.clear();
    return model;
  }

  /** Frees what was not handed over, so that a failed load leaves nothing behind. */
  [Symbol.dispose](): void {
    this.#staging?.dispose();
    this.#staging = null;
    for (const tensor of this.#built.values()) tensor.dispose();
    this.#built.clear();
  }
}
