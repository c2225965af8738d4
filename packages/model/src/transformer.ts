/**
 * The transformer (Vaswani et al., 2017; a decoder with norms before the sublayers as in GPT-2, or an encoder like BERT), written once for
 * every family. The same code trains (a context with a tape), runs with or without a KV cache, and runs with q8 or q4 matrices.
 *
 * Letters: N tokens in a packed batch, C hidden size, V vocabulary, H query heads, K key/value heads, D head size, F MLP size.
 */
import { Arena, type Backend, type Context, type DType, IGNORE_INDEX, ops, type Random, Tensor } from '@parley/engine';
import { type Batch, placeBatch, type PlacedBatch } from './batch.ts';
import { type CacheOptions, KeyValueCache } from './cache.ts';
import { checkConfig, hasSlidingTheta, type TransformerConfig, windowOf } from './config.ts';
import { AdapterError, BatchError, count, ModelError } from './errors.ts';
import { initialValues } from './initialize.ts';
import { type AdapterPart, type LoraAdapter, lowRank } from './lora.ts';
import { ParameterBuilder, parameterSpecs, type WeightDType } from './parameters.ts';
import { RotaryTables } from './rotary.ts';

interface Affine {
  /** The weight's. */
  readonly name: string;
  readonly weight: Tensor;
  readonly bias?: Tensor;
}

/** One block's parameters, looked up once; null where the family has none. */
interface Block {
  readonly attentionNorm: Affine | null;
  readonly q: Affine;
  readonly k: Affine;
  readonly v: Affine;
  readonly o: Affine;
  readonly queryNorm: Affine | null;
  readonly keyNorm: Affine | null;
  readonly attentionOutputNorm: Affine | null;
  readonly mlpNorm: Affine | null;
  readonly gate: Affine | null;
  readonly up: Affine;
  readonly down: Affine;
  readonly mlpOutputNorm: Affine | null;
  readonly rotary: RotaryTables | null;
  readonly window: number | null;
}

/** Parameters as an optimizer treats them. */
export interface ParameterGroups {
  /** Every matrix, the embedding tables (tokens and learned positions) included. */
  readonly decay: readonly (readonly [name: string, tensor: Tensor])[];
  /** Norm gains and all biases: pulling these to zero would change what the layer means, not how far it fits. */
  readonly noDecay: readonly (readonly [name: string, tensor: Tensor])[];
}

/** An adapter laid on a model, and how strongly it acts. */
export interface ActiveAdapter {
  readonly adapter: LoraAdapter;
  /** Default 1. */
  readonly weight?: number;
}

export interface LossOptions {
  /** (rows), the next token of each row that has logits, or `ignoreIndex`. */
  readonly targets: Int32Array;
  /** Default −100. */
  readonly ignoreIndex?: number;
  /** What one target weighs in the gradient. Default 1 / number of targets that are not ignored: the mean. */
  readonly scale?: number;
  /** Of the gradient alone (see ops.crossEntropy): the losses returned are free of both. Default 0. */
  readonly smoothing?: number;
  readonly zLoss?: number;
  /** (rows), of the gradient (see ops.crossEntropy). */
  readonly weights?: Float32Array;
}

export class Transformer implements Disposable {
  readonly config: TransformerConfig;
  readonly backend: Backend;
  /** By internal name (see parameters.ts), in the order of the forward pass. */
  readonly parameters: ReadonlyMap<string, Tensor>;
  readonly #blocks: readonly Block[];
  readonly #embedding: Tensor;
  readonly #positions: Tensor | null;
  readonly #tokenTypes: Tensor | null;
  readonly #embeddingNorm: Affine | null;
  readonly #norm: Affine | null;
  readonly #head: Affine | null;
  /** What stands between the last states and the output matrix of a masked-token head. */
  readonly #transform: { readonly dense: Affine; readonly norm: Affine } | null;
  readonly #pooler: Affine | null;
  readonly #rotary: readonly RotaryTables[];
  /** Inference's working memory, one layer at a time; training keeps every layer's in the step's arena. */
  readonly #scratch: Arena;
  #adapters: readonly ActiveAdapter[] = [];
  /** What the adapters add, by weight. */
  #additions: ReadonlyMap<string, readonly AdapterPart[]> = new Map();

  /** Takes parameters as they are and owns them from here on. Throws ModelError when one is missing, extra or of another shape. */
  constructor(backend: Backend, config: TransformerConfig, parameters: ReadonlyMap<string, Tensor>) {
    this.config = checkConfig(config);
    this.backend = backend;
    this.parameters = parameters;
    const specs = parameterSpecs(config);
    for (const { name, shape } of specs) {
      const tensor = parameters.get(name);
      if (tensor === undefined) throw new ModelError(`the parameter ${name} [${shape.join(', ')}] is missing`);
      if (tensor.shape.join() !== shape.join()) {
        throw new ModelError(`the parameter ${name} is [${tensor.shape.join(', ')}]; this configuration makes it [${shape.join(', ')}]`);
      }
    }
    if (parameters.size !== specs.length) {
      const known = new Set(specs.map((spec) => spec.name));
      const extra = [...parameters.keys()].filter((name) => !known.has(name));
      throw new ModelError(`this configuration has no place for the parameters ${extra.join(', ')}`);
    }

    const tensor = (name: string): Tensor => parameters.get(name)!;
    const affine = (name: string): Affine => {
      const bias = parameters.get(`${name}.bias`);
      const weight = { name: `${name}.weight`, weight: tensor(`${name}.weight`) };
      return bias === undefined ? weight : { ...weight, bias };
    };
    this.#embedding = tensor('model.embed_tokens.weight');
    const optional = (name: string): Affine | null => (parameters.has(`${name}.weight`) ? affine(name) : null);
    this.#positions = parameters.get('model.embed_positions.weight') ?? null;
    this.#tokenTypes = parameters.get('model.embed_token_types.weight') ?? null;
    this.#embeddingNorm = optional('model.embed_norm');
    const { headSize, contextLength, ropeTheta: theta, ropeScaling: scaling } = config;
    const rotary = config.positions === 'rotary' ? new RotaryTables(backend, { headSize, contextLength, theta, scaling }) : null;
    const slidingRotary = rotary && hasSlidingTheta(config) ? new RotaryTables(backend, { headSize, contextLength, theta: config.slidingRopeTheta! }) : null;
    this.#rotary = [rotary, slidingRotary].filter((tables) => tables !== null);
    this.#blocks = Array.from({ length: config.layers }, (_, layer) => {
      const block = `model.layers.${layer}`;
      const window = windowOf(config, layer);
      return {
        attentionNorm: optional(`${block}.input_layernorm`),
        q: affine(`${block}.self_attn.q_proj`),
        k: affine(`${block}.self_attn.k_proj`),
        v: affine(`${block}.self_attn.v_proj`),
        o: affine(`${block}.self_attn.o_proj`),
        queryNorm: optional(`${block}.self_attn.q_norm`),
        keyNorm: optional(`${block}.self_attn.k_norm`),
        attentionOutputNorm: optional(`${block}.attention_output_layernorm`),
        mlpNorm: optional(`${block}.post_attention_layernorm`),
        gate: optional(`${block}.mlp.gate_proj`),
        up: affine(`${block}.mlp.up_proj`),
        down: affine(`${block}.mlp.down_proj`),
        mlpOutputNorm: optional(`${block}.mlp_output_layernorm`),
        rotary: window === null ? rotary : (slidingRotary ?? rotary),
        window,
      };
    });
    this.#norm = optional('model.norm');
    this.#transform = config.head === 'masked' ? { dense: affine('masked_head.dense'), norm: affine('masked_head.norm') } : null;
    this.#pooler = optional('pooler.dense');
    const headBias = parameters.get('masked_head.bias');
    const tied = { name: 'model.embed_tokens.weight', weight: this.#embedding, ...(headBias && { bias: headBias }) };
    this.#head = config.head === 'none' ? null : config.tieEmbeddings ? tied : affine('lm_head');
    // A quantized model cannot be trained, so its norms and biases ask for no gradients either.
    if (this.dtype === 'f32') for (const parameter of parameters.values()) parameter.requiresGrad = true;
    this.#scratch = new Arena(backend);
  }

  /** A model with fresh weights (see initialize.ts); the same `random` state gives the same bits. Throws MemoryLimitError. */
  static initialize(backend: Backend, config: TransformerConfig, random: Random, options: { dtype?: WeightDType } = {}): Transformer {
    using builder = new ParameterBuilder(backend, config, options.dtype ?? 'f32');
    for (const spec of builder.specs) builder.addSync(spec, initialValues(spec, config, random));
    return builder.finish((parameters) => new Transformer(backend, config, parameters));
  }

  /** How its matrices are held: those of the layers, where the embedding table is held otherwise. */
  get dtype(): DType {
    return this.#blocks[0]?.q.weight.dtype ?? this.#embedding.dtype;
  }

  /** Trained values; tied embeddings count once. */
  get parameterCount(): number {
    let sum = 0;
    for (const tensor of this.parameters.values()) sum += tensor.size;
    return sum;
  }

  get parameterGroups(): ParameterGroups {
    const all = [...this.parameters];
    const isMatrix = ([, tensor]: readonly [string, Tensor]): boolean => tensor.shape.length > 1;
    return { decay: all.filter(isMatrix), noDecay: all.filter((parameter) => !isMatrix(parameter)) };
  }

  get adapters(): readonly ActiveAdapter[] {
    return this.#adapters;
  }

  /**
   * Lays these adapters on the model in place of those it had; what they add is summed. They stay the caller's: the model does not
   * dispose them, and costs nothing to lay others on. A cache filled under other adapters holds their keys and values.
   * Throws AdapterError for one that is disposed or does not fit; then the ones before stay.
   */
  setAdapters(adapters: readonly ActiveAdapter[]): void {
    const additions = new Map<string, AdapterPart[]>();
    for (const { adapter, weight = 1 } of adapters) {
      if (!Number.isFinite(weight)) throw new AdapterError(`an adapter's weight is ${weight}: it has to be a number`);
      this.#checkAdapter(adapter);
      for (const name of weight === 0 ? [] : adapter.weights) {
        const part = adapter.part(name)!;
        const list = additions.get(name) ?? [];
        list.push({ ...part, scale: weight * part.scale });
        additions.set(name, list);
      }
    }
    this.#adapters = [...adapters];
    this.#additions = additions;
  }

  /**
   * Adds an adapter to the weights for good: W += weight · scale · B A. The adapter is not changed, and should no longer be laid on the
   * model. Throws AdapterError for one that does not fit and for a quantized model.
   */
  mergeAdapter({ adapter, weight = 1 }: ActiveAdapter): void {
    if (this.dtype !== 'f32') throw new AdapterError(`an adapter is merged into f32 weights, and these are held in ${this.dtype}: load the model in f32`);
    this.#checkAdapter(adapter);
    for (const name of adapter.weights) {
      const { a, b, scale } = adapter.part(name)!;
      using scaled = Tensor.allocate(this.backend, a.shape);
      this.backend.scale({ out: scaled, x: a, factor: weight * scale });
      this.backend.matmul({ out: this.parameters.get(name)!, a: b, b: scaled, accumulate: true });
    }
  }

  /** From here on no gradients are computed for the model's own weights, only for adapters that ask for them. */
  freeze(): void {
    for (const parameter of this.parameters.values()) parameter.requiresGrad = false;
  }

  /** An empty cache for this model; dispose it before the backend. Throws MemoryLimitError. */
  createCache(options: CacheOptions): KeyValueCache {
    return new KeyValueCache(this.backend, this.config, options);
  }

  /**
   * Logits (rows, V) of a batch, in the context's arena. rows: N, or as many as `logitRows` names.
   * Throws BatchError when the batch does not fit the model or its cache, ModelError when the model has no head.
   */
  forward(ctx: Context, batch: Batch): Tensor {
    if (this.#head === null) throw new ModelError('this model has no head that predicts tokens, only states: use it for features or put a classifier on it');
    let states = this.hidden(ctx, batch);
    if (this.#transform) {
      const { dense, norm } = this.#transform;
      states = this.#normalize(ctx, ops.activation(ctx, this.#linear(ctx, states, dense), this.config.activation), norm);
    }
    return ops.linear(ctx, states, this.#head.weight, this.#head.bias);
  }

  /** tanh(W x + b) of states (rows, C), as BERT has it for the first token of each sequence. Throws ModelError when the model has no pooler. */
  pool(ctx: Context, states: Tensor): Tensor {
    if (this.#pooler === null) throw new ModelError('this model has no pooler: its config says pooler for one that has');
    return tanh(ctx, this.#linear(ctx, states, this.#pooler));
  }

  /** What the logits are computed from: the normalized states (rows, C) behind the last block. Throws as `forward` does. */
  hidden(ctx: Context, batch: Batch): Tensor {
    const { config } = this;
    if (ctx.tape !== null) this.#checkTrainable(batch);
    const placed = placeBatch(ctx.arena, config, batch);

    let x = ops.embedding(ctx, this.#embedding, placed.tokens); // (N, C)
    if (config.embeddingScale !== undefined) x = ops.scale(ctx, x, config.embeddingScale);
    if (this.#positions) x = residual(ctx, x, ops.embedding(ctx, this.#positions, placed.positions));
    if (this.#tokenTypes && placed.tokenTypes) x = residual(ctx, x, ops.embedding(ctx, this.#tokenTypes, placed.tokenTypes));
    if (this.#embeddingNorm) x = this.#normalize(ctx, x, this.#embeddingNorm);
    for (let layer = 0; layer < config.layers; layer++) {
      if (ctx.tape === null) this.#scratch.reset();
      const inner = ctx.tape === null ? { ...ctx, arena: this.#scratch } : ctx;
      x = this.#block(inner, x, placed, layer);
    }
    if (placed.logitRows) x = ops.embedding(ctx, x, placed.logitRows); // (rows, C)
    return this.#norm ? this.#normalize(ctx, x, this.#norm) : x;
  }

  /**
   * Cross-entropy (rows), in nats and unscaled, of the logits of a batch against `targets`. With a tape it is where the
   * backward pass starts: `tape.backward()` then adds the gradient of scale · Σ losses to the parameters'.
   */
  loss(ctx: Context, batch: Batch, options: LossOptions): Tensor {
    const { targets, ignoreIndex = IGNORE_INDEX, weights } = options;
    const rows = batch.logitRows?.length ?? batch.tokens.length;
    if (targets.length !== rows) throw new BatchError(`${rows} rows of logits came with ${targets.length} targets: pass one for each row`);
    let counted = 0;
    for (const [row, target] of targets.entries()) {
      if (target === ignoreIndex) continue;
      counted++;
      if (target < 0 || target >= this.config.vocabSize) {
        throw new BatchError(
          `target ${target} at row ${row} is outside this model's vocabulary of ${count(this.config.vocabSize)}: ` +
            `to give a row no loss, make its target ${ignoreIndex}`,
        );
      }
    }
    const logits = this.forward(ctx, batch);
    const { scale = 1 / Math.max(1, counted), smoothing = 0, zLoss = 0 } = options;
    return ops.crossEntropy(ctx, logits, {
      targets: ctx.arena.from(targets), ignoreIndex, scale, smoothing, zLoss, ...(weights && { weights }),
    });
  }

  dispose(): void {
    for (const parameter of this.parameters.values()) parameter.dispose();
    for (const tables of this.#rotary) tables.dispose();
    this.#scratch.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  /** x (N, C) + attention(norm(x)) + mlp(norm(·)), or with the norms behind: the one transformer block. */
  #block(ctx: Context, x: Tensor, batch: PlacedBatch, layer: number): Tensor {
    const block = this.#blocks[layer]!;
    const attend = (states: Tensor): Tensor => this.#attention(ctx, states, { block, batch, layer });
    const attended = this.#sublayer(ctx, x, { before: block.attentionNorm, behind: block.attentionOutputNorm, run: attend });
    return this.#sublayer(ctx, attended, { before: block.mlpNorm, behind: block.mlpOutputNorm, run: (states) => this.#mlp(ctx, states, block) });
  }

  /** x + behind(run(before(x))), each norm where there is one; with norms placed after, behind(x + run(x)). */
  #sublayer(ctx: Context, x: Tensor, { before, behind, run }: { before: Affine | null; behind: Affine | null; run: (states: Tensor) => Tensor }): Tensor {
    const delta = run(before ? this.#normalize(ctx, x, before) : x);
    if (behind === null) return residual(ctx, x, delta);
    if (this.config.normPlacement !== 'after') return residual(ctx, x, this.#normalize(ctx, delta, behind));
    const normalized = this.#normalize(ctx, residual(ctx, x, delta), behind);
    if (ctx.tape !== null) return normalized;
    this.backend.copy({ out: x, x: normalized }); // x outlives the layer's scratch memory
    return x;
  }

  /** Self-attention of x (N, C). With a cache the new keys and values are written to it first and all are read from it. */
  #attention(ctx: Context, x: Tensor, where: { block: Block; batch: PlacedBatch; layer: number }): Tensor {
    const { heads, keyValueHeads, headSize } = this.config;
    const { block, batch, layer } = where;
    const n = x.dim(0);
    let q = this.#linear(ctx, x, block.q).reshape(n, heads, headSize);
    let k = this.#linear(ctx, x, block.k).reshape(n, keyValueHeads, headSize);
    let v = this.#linear(ctx, x, block.v).reshape(n, keyValueHeads, headSize);
    if (block.queryNorm && block.keyNorm) {
      q = this.#normalizeHeads(ctx, q, block.queryNorm);
      k = this.#normalizeHeads(ctx, k, block.keyNorm);
    }
    if (block.rotary) {
      const { cos, sin } = block.rotary.upTo(batch.lastPosition);
      const angles = { positions: batch.positions, cos, sin };
      q = ops.rotary(ctx, q, angles);
      k = ops.rotary(ctx, k, angles);
    }
    if (batch.cache && batch.cacheRows) {
      const cached = batch.cache.layer(layer);
      const flat = (tensor: Tensor): Tensor => tensor.reshape(tensor.dim(0), keyValueHeads * headSize);
      this.backend.scatterRows({ out: flat(cached.k), x: flat(k), rows: batch.cacheRows });
      this.backend.scatterRows({ out: flat(cached.v), x: flat(v), rows: batch.cacheRows });
      ({ k, v } = cached);
    }
    const { sequences, maxQueryLength } = batch;
    const { bidirectional = false, attentionScale = 1 / Math.sqrt(headSize) } = this.config;
    const reach = { causal: !bidirectional, ...(block.window !== null && { window: block.window }) };
    const out = ops.attention(ctx, { q, k, v, sequences, maxQueryLength, ...reach, scale: attentionScale });
    return this.#linear(ctx, out.reshape(n, heads * headSize), block.o);
  }

  #mlp(ctx: Context, x: Tensor, block: Block): Tensor {
    const { activation } = this.config;
    const up = this.#linear(ctx, x, block.up); // (N, F)
    const inner = block.gate ? ops.gated(ctx, this.#linear(ctx, x, block.gate), up, activation) : ops.activation(ctx, up, activation);
    return this.#linear(ctx, inner, block.down);
  }

  /** A linear layer, and beside it what the adapters add. */
  #linear(ctx: Context, x: Tensor, { name, weight, bias }: Affine): Tensor {
    let out = ops.linear(ctx, x, weight, bias);
    for (const part of this.#additions.get(name) ?? []) out = residual(ctx, out, lowRank(ctx, x, part));
    return out;
  }

  #normalize(ctx: Context, x: Tensor, norm: Affine): Tensor {
    const { weight, bias } = norm;
    const args = { weight, epsilon: this.config.normEpsilon, ...(bias && { bias }) };
    return this.config.norm === 'layer' ? ops.layerNorm(ctx, x, args) : ops.rmsNorm(ctx, x, args);
  }

  /** The norm over each head of x (N, heads, D). */
  #normalizeHeads(ctx: Context, x: Tensor, norm: Affine): Tensor {
    return this.#normalize(ctx, x.reshape(x.dim(0) * x.dim(1), x.dim(2)), norm).reshape(...x.shape);
  }

  #checkAdapter(adapter: LoraAdapter): void {
    if (!adapter.alive) throw new AdapterError('the adapter has been disposed: load it again');
    for (const name of adapter.weights) {
      const { a, b } = adapter.part(name)!;
      const weight = this.parameters.get(name);
      if (weight === undefined || a.dim(1) !== weight.dim(1) || b.dim(0) !== weight.dim(0)) {
        throw new AdapterError(`the adapter adds [${b.dim(0)}, ${a.dim(1)}] to ${name}, which is ${weight ? `[${weight.shape.join(', ')}]` : 'not'} in this model: it was made for another`);
      }
    }
  }

  #checkTrainable(batch: Batch): void {
    const trained = this.#adapters.some(({ adapter }) => [...adapter.parameters.values()].some(({ requiresGrad }) => requiresGrad));
    if (this.dtype !== 'f32' && !trained) {
      throw new ModelError(`a model in ${this.dtype} cannot be trained: load it with dtype "f32", or train an adapter on it`);
    }
    if (batch.cache) throw new BatchError('gradients do not flow through a cache: train without one');
  }
}

/** x + delta. Inference adds in place, so that the stream is one buffer that outlives each layer's scratch memory. */
function residual(ctx: Context, x: Tensor, delta: Tensor): Tensor {
  if (ctx.tape !== null) return ops.add(ctx, x, delta);
  ctx.arena.backend.add({ out: x, a: x, b: delta });
  return x;
}

/**
 * tanh of x (N, C): attention over two keys, 1 and −1, whose values are 1 and −1, is (e^x − e^−x) / (e^x + e^−x). It costs more than an
 * operation of its own would, and is used on one row a sequence.
 */
function tanh(ctx: Context, x: Tensor): Tensor {
  const ends = ctx.arena.from(Float32Array.of(1, -1), [2, 1, 1]);
  const sequences = ctx.arena.from(Int32Array.of(0, x.size, 0, 2), [1, 4]);
  const q = x.reshape(x.size, 1, 1);
  return ops.attention(ctx, { q, k: ends, v: ends, sequences, maxQueryLength: x.size, causal: false, scale: 1 }).reshape(...x.shape);
}
