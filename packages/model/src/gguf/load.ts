/** A model from a GGUF file: tensors are read in pieces of a few megabytes, widened to f32 and, where the model is held in q8 or q4, quantized. */
import type { Backend } from '@parley/engine';
import { type GgufFile, readGguf, tensorBytes, type TensorType } from '@parley/gguf';
import type { LoadWeightsOptions } from '../checkpoint.ts';
import type { TransformerConfig } from '../config.ts';
import { CheckpointError, count } from '../errors.ts';
import type { GenerationConfig } from '../generation-config.ts';
import { type HeldIn, ParameterBuilder, type ParameterSpec, type WeightDType } from '../parameters.ts';
import type { ByteSource } from '../safetensors.ts';
import { Transformer } from '../transformer.ts';
import { configFromGguf } from './architecture.ts';
import { decoderOf, READ_TYPES } from './blocks.ts';
import { ggufTensors, type GgufStored, permutePairs } from './names.ts';

/** Values moved at once: 4 MiB in f32. */
const CHUNK = 1 << 20;
/** Llama 3's factors, one for each rotary pair. */
const ROPE_FACTORS = 'rope_freqs.weight';

/** A GGUF file with a model: its configuration, and its tensors by the names they have there. */
export class GgufModel {
  readonly file: GgufFile;
  readonly config: TransformerConfig;
  readonly source: ByteSource;
  #bytes = new Uint8Array(0);

  private constructor(source: ByteSource, file: GgufFile, config: TransformerConfig) {
    this.source = source;
    this.file = file;
    this.config = config;
  }

  /** Reads a file's front. Throws GgufError where it is malformed, ConfigError where Parley does not compute the model. */
  static async open(source: ByteSource): Promise<GgufModel> {
    const file = await readGguf(source);
    const factors = file.tensors.get(ROPE_FACTORS);
    // It is small, or no tensor of factors.
    if (factors === undefined || factors.shape.length !== 1 || factors.shape[0]! > 4096) return new GgufModel(source, file, configFromGguf(file, { name: source.name }));
    const values = new Float32Array(factors.shape[0]!);
    await readTensor(source, { file, tensor: ROPE_FACTORS, first: 0, bytes: new Uint8Array(tensorBytes(factors.type, values.length)) }, values);
    return new GgufModel(source, file, configFromGguf(file, { name: source.name, ropeFactors: Array.from(values) }));
  }

  /** What most of the matrices are stored in. */
  get type(): TensorType {
    const bytes = new Map<TensorType, number>();
    for (const [name, { type, begin, end }] of this.file.tensors) {
      if (name.startsWith('blk.')) bytes.set(type, (bytes.get(type) ?? 0) + end - begin);
    }
    return [...bytes].sort((a, b) => b[1] - a[1])[0]?.[0] ?? 'F32';
  }

  /** What the model is held in where nobody says: f32 for a file of floats; for a quantized one q4 or q8, as most of its matrices are. */
  get dtype(): WeightDType {
    const { type } = this;
    return type === 'F32' || type === 'F16' || type === 'BF16' ? 'f32' : nearest(type);
  }

  /**
   * Of a quantized file, what each matrix is held in where nobody says: q4 for Q4_0, q8 for everything else. Q8_0 and Q4_0 blocks keep
   * their codes and scales exactly; other types lose up to half a step of q8.
   */
  get heldIn(): HeldIn {
    if (this.dtype === 'f32') return 'f32';
    const types = new Map(ggufTensors(this.config).flatMap(({ name, parameters }) => parameters.map((parameter) => [parameter, this.file.tensors.get(name)?.type])));
    return ({ name }) => nearest(types.get(name) ?? 'F32');
  }

  /** Fills `out` with a tensor's values from the `first`-th on, which begins a block. */
  async read(tensor: string, first: number, out: Float32Array): Promise<void> {
    const { type } = this.file.tensors.get(tensor)!;
    const length = tensorBytes(type, out.length);
    if (this.#bytes.length < length) this.#bytes = new Uint8Array(length);
    await readTensor(this.source, { file: this.file, tensor, first, bytes: this.#bytes.subarray(0, length) }, out);
  }

  /** Where sequences begin and end, as the tokenizer's metadata says; tokens called as ends of turns are also ends, as in llama.cpp. */
  get generation(): GenerationConfig {
    const { metadata } = this.file;
    const isId = (value: unknown): value is number => typeof value === 'number' && value < this.config.vocabSize;
    const id = (name: string): number | undefined => {
      const value = metadata.get(`tokenizer.ggml.${name}_token_id`)?.value;
      return isId(value) ? value : undefined;
    };
    const list = (name: string): readonly unknown[] => {
      const entry = metadata.get(`tokenizer.ggml.${name}`);
      return entry?.type === 'array' ? entry.value : [];
    };
    const types = list('token_type');
    const named = list('tokens').flatMap((token, i) => (types[i] === CONTROL && ENDS.has(token as string) ? [i] : []));
    const ends = [...['eos', 'eot', 'eom'].map(id), ...named].filter(isId);
    return { bosTokenId: id('bos'), eosTokenIds: [...new Set(ends)], padTokenId: id('padding'), defaults: {} };
  }
}

/** The value of `tokenizer.ggml.token_type` for markup. */
const CONTROL = 3;
/** Markup that ends a text or a turn wherever it occurs. */
const ENDS: ReadonlySet<string> = new Set(['<|im_end|>', '<|endoftext|>', '<|eot_id|>', '<|end_of_text|>', '<|end|>', '<end_of_turn>', '<EOT>']);

const nearest = (type: TensorType): 'q8' | 'q4' => (type === 'Q4_0' ? 'q4' : 'q8');

async function readTensor(
  source: ByteSource,
  place: { file: GgufFile; tensor: string; first: number; bytes: Uint8Array },
  out: Float32Array,
): Promise<void> {
  const { type, begin } = place.file.tensors.get(place.tensor)!;
  const decode = decoderOf(type);
  if (decode === undefined) {
    throw new CheckpointError(
      `${source.name}: tensor ${place.tensor} is in ${type}; weights are read from ${READ_TYPES.join(', ')}: take the model in one of these`,
      { file: source.name, tensor: place.tensor },
    );
  }
  await source.read(begin + tensorBytes(type, place.first), place.bytes);
  decode(place.bytes, out);
}

/**
 * A model with the weights of a GGUF file, by default held in what is nearest to the file's types (`GgufModel.heldIn`). Throws
 * CheckpointError for missing, unexpected or wrong-shaped tensors before any memory is taken, MemoryLimitError when the model does not fit.
 */
export async function loadGguf(backend: Backend, model: GgufModel, options: LoadWeightsOptions = {}): Promise<Transformer> {
  const config = options.body === true ? { ...model.config, tieEmbeddings: true } : model.config;
  const stored = ggufTensors(config);
  check(model, stored, options.body ?? false);
  const sizes = stored.map(({ name }) => model.file.tensors.get(name)!).map(({ begin, end }) => end - begin);
  const totalBytes = sizes.reduce((sum, size) => sum + size, 0);
  let loadedBytes = 0;
  using builder = new ParameterBuilder(backend, config, options.dtype ?? model.heldIn);
  const specs = new Map(builder.specs.map((spec) => [spec.name, spec]));
  const chunks = [new Float32Array(CHUNK), new Float32Array(CHUNK)] as const;
  for (const [i, tensor] of stored.entries()) {
    let first = 0;
    for (const name of tensor.parameters) {
      options.signal?.throwIfAborted();
      first += await loadParameter(builder, model, { spec: specs.get(name)!, tensor, first, headSize: config.headSize, chunks });
    }
    loadedBytes += sizes[i]!;
    options.onProgress?.({ loadedBytes, totalBytes });
  }
  return builder.finish((parameters) => new Transformer(backend, config, parameters));
}

/** Returns the number of values. */
async function loadParameter(
  builder: ParameterBuilder,
  model: GgufModel,
  where: { spec: ParameterSpec; tensor: GgufStored; first: number; headSize: number; chunks: readonly [Float32Array, Float32Array] },
): Promise<number> {
  const { spec, tensor, first, headSize, chunks } = where;
  const [rows = 0] = spec.shape;
  const size = spec.shape.reduce((product, extent) => product * extent, 1);
  const width = size / rows;
  // Whole heads where rows change places within them.
  const unit = tensor.paired === undefined ? 1 : headSize;
  const step = Math.max(1, Math.floor(CHUNK / (width * unit))) * unit;
  await builder.add(spec, async (target) => {
    for (let row = 0; row < rows; row += step) {
      const end = Math.min(rows, row + step);
      const length = (end - row) * width;
      const [values, placed] = chunks.map((chunk) => (length <= chunk.length ? chunk.subarray(0, length) : new Float32Array(length))) as [Float32Array, Float32Array];
      await model.read(tensor.name, first + row * width, values);
      if (tensor.paired !== undefined) permutePairs(values, placed, { headRows: headSize, width, to: 'halves' });
      target.rows(row, end).write(tensor.paired === undefined ? values : placed);
    }
  });
  return size;
}

/** That the file has just these tensors, in these shapes, in types that are read. */
function check(model: GgufModel, stored: readonly GgufStored[], body: boolean): void {
  const { file, source } = model;
  const fail = (tensor: string, message: string): never => {
    throw new CheckpointError(`${source.name}: tensor ${tensor} ${message}`, { file: source.name, tensor });
  };
  for (const { name, shape } of stored) {
    const entry = file.tensors.get(name);
    if (entry === undefined) return fail(name, 'is missing: the file is incomplete, or one part of several; join the parts with llama.cpp\'s gguf-split');
    if (entry.shape.join() !== shape.join()) {
      fail(name, `is [${entry.shape.map(count).join(', ')}]; the file's own metadata makes it [${shape.map(count).join(', ')}]: it is damaged`);
    }
    if (decoderOf(entry.type) === undefined) fail(name, `is in ${entry.type}; weights are read from ${READ_TYPES.join(', ')}: take the model in one of these`);
  }
  const expected = new Set([...stored.map(({ name }) => name), ROPE_FACTORS, ...(body ? ['output.weight'] : [])]);
  const unexpected = [...file.tensors.keys()].find((name) => !expected.has(name));
  if (unexpected !== undefined) fail(unexpected, 'has no place in a model of this architecture: Parley would leave out what it computes; use another file');
}
