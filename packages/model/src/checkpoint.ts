/**
 * A model's weights to and from safetensors, in pieces of a few megabytes: neither side ever holds a file, and only tensors
 * that are stored transposed (GPT-2's) pass through memory as a whole, one at a time.
 */
import type { Backend, Tensor } from '@parley/engine';
import type { TransformerConfig } from './config.ts';
import { CheckpointError, count } from './errors.ts';
import type { Family, StoredTensor } from './family.ts';
import { bf16ToF32, f16ToF32, f32ToBf16, f32ToF16 } from './float16.ts';
import { families } from './hugging-face.ts';
import { ParameterBuilder, type ParameterSpec, type WeightDType } from './parameters.ts';
import { type ByteSource, encodeSafetensorsHeader, readSafetensorsHeader, type SafetensorsEntry } from './safetensors.ts';
import { Transformer } from './transformer.ts';

/** How weights are stored. */
export type FileDType = 'f32' | 'f16' | 'bf16';

const FILE_DTYPES = { f32: 'F32', f16: 'F16', bf16: 'BF16' } as const satisfies Record<FileDType, string>;

/** Values moved at once: 4 MiB in f32. */
const CHUNK = 1 << 20;

const sizeOf = (shape: readonly number[]): number => shape.reduce((product, extent) => product * extent, 1);
const show = (shape: readonly number[]): string => `[${shape.join(', ')}]`;

/** Output matrices in files: a body is loaded without them. */
const HEADS: ReadonlySet<string> = new Set(['lm_head.weight', 'score.weight', 'classifier.weight', 'classifier.bias']);

export interface LoadWeightsOptions {
  /** Default f32. */
  readonly dtype?: WeightDType;
  /** Leave the output matrix out, whatever it is: what comes is a model that ties it to its embeddings. Default false. */
  readonly body?: boolean;
  readonly signal?: AbortSignal;
  /** Called after each tensor. */
  readonly onProgress?: (progress: { readonly loadedBytes: number; readonly totalBytes: number }) => void;
}

/** The tensors of one weight file, or of several that share a model out between them. */
export class Checkpoint {
  readonly #tensors = new Map<string, { readonly entry: SafetensorsEntry; readonly source: ByteSource }>();
  /** For messages about the whole. */
  readonly name: string;
  #bytes = new Uint8Array(0);

  private constructor(name: string) {
    this.name = name;
  }

  /**
   * Reads the files' headers. `index`: which file, by its place in `sources`, each tensor is said to be in
   * (`model.safetensors.index.json`), which the files then have to agree with. Throws CheckpointError.
   */
  static async open(
    sources: readonly ByteSource[],
    options: { readonly name: string; readonly index?: ReadonlyMap<string, number> },
  ): Promise<Checkpoint> {
    const checkpoint = new Checkpoint(options.name);
    for (const source of sources) {
      const { entries } = await readSafetensorsHeader(source);
      for (const [tensor, entry] of entries) {
        const other = checkpoint.#tensors.get(tensor);
        if (other) {
          throw new CheckpointError(
            `tensor ${tensor} is in ${other.source.name} and in ${source.name}: a tensor belongs to one file`,
            { file: source.name, tensor },
          );
        }
        if (options.index && sources[options.index.get(tensor) ?? -1] !== source) {
          throw new CheckpointError(
            `tensor ${tensor} is in ${source.name}, where ${options.name} does not put it: the files are not of one model`,
            { file: source.name, tensor },
          );
        }
        checkpoint.#tensors.set(tensor, { entry, source });
      }
    }
    for (const [tensor, place] of options.index ?? []) {
      const file = sources[place]?.name ?? '';
      if (!checkpoint.#tensors.has(tensor)) {
        throw new CheckpointError(`tensor ${tensor} is not in ${file}, where ${options.name} puts it: fetch the file again`, {
          file,
          tensor,
        });
      }
    }
    return checkpoint;
  }

  get names(): Iterable<string> {
    return this.#tensors.keys();
  }

  has(tensor: string): boolean {
    return this.#tensors.has(tensor);
  }

  /** Throws CheckpointError when there is no such tensor. */
  info(tensor: string): { readonly dtype: string; readonly shape: readonly number[]; readonly bytes: number; readonly file: string } {
    const { entry, source } = this.#find(tensor);
    return { dtype: entry.dtype, shape: entry.shape, bytes: entry.end - entry.begin, file: source.name };
  }

  /** Fills `out` with a tensor's values from the `first`-th on, widened to f32. The tensor has to have as many: see `info`. Throws CheckpointError. */
  async read(tensor: string, first: number, out: Float32Array): Promise<void> {
    const { entry, source } = this.#find(tensor);
    if (entry.dtype === 'F32') {
      await source.read(entry.begin + 4 * first, new Uint8Array(out.buffer, out.byteOffset, out.byteLength));
      return;
    }
    const widen = { F16: f16ToF32, BF16: bf16ToF32 }[entry.dtype];
    if (widen === undefined) {
      throw new CheckpointError(
        `${source.name}: tensor ${tensor} is in ${entry.dtype}; weights are read from F32, F16 and BF16: convert it`,
        { file: source.name, tensor },
      );
    }
    if (this.#bytes.length < 2 * out.length) this.#bytes = new Uint8Array(2 * out.length);
    await source.read(entry.begin + 2 * first, this.#bytes.subarray(0, 2 * out.length));
    widen(new Uint16Array(this.#bytes.buffer, 0, out.length), out);
  }

  #find(tensor: string): { readonly entry: SafetensorsEntry; readonly source: ByteSource } {
    const found = this.#tensors.get(tensor);
    if (found === undefined) throw new CheckpointError(`${this.name} has no tensor ${tensor}`, { file: this.name, tensor });
    return found;
  }
}

/**
 * A model with the weights of a checkpoint. Throws CheckpointError for missing, unexpected or wrong-shaped tensors before any
 * memory is taken, MemoryLimitError when the model does not fit.
 */
export async function loadTransformer(
  backend: Backend,
  source: { readonly config: TransformerConfig; readonly checkpoint: Checkpoint },
  options: LoadWeightsOptions = {},
): Promise<Transformer> {
  const { checkpoint } = source;
  const family = families[source.config.family];
  const has = (name: string): boolean => checkpoint.has(name) || checkpoint.has(family.prefix + name);
  const whole = family.fitConfig?.(source.config, has) ?? source.config;
  const config = options.body === true ? (family.bodyConfig?.(whole) ?? { ...whole, tieEmbeddings: true }) : whole;
  const located = await locate(family, config, { checkpoint, body: options.body ?? false });
  const totalBytes = located.reduce((sum, { file }) => sum + checkpoint.info(file).bytes, 0);
  let loadedBytes = 0;
  using builder = new ParameterBuilder(backend, config, options.dtype ?? 'f32');
  const specs = new Map(builder.specs.map((spec) => [spec.name, spec]));
  const chunk = new Float32Array(CHUNK);
  for (const { stored, file } of located) {
    options.signal?.throwIfAborted();
    const parts = stored.parameters.map((name) => specs.get(name)!);
    if (stored.transposed) await loadTransposed(builder, checkpoint, { stored, file, parts });
    else await loadPlain(builder, checkpoint, { file, parts, chunk, offset: stored.offset ?? 0 });
    loadedBytes += checkpoint.info(file).bytes;
    options.onProgress?.({ loadedBytes, totalBytes });
  }
  return builder.finish((parameters) => new Transformer(backend, config, parameters));
}

/** Where each stored tensor is in the checkpoint, once it is certain that names and shapes are all as they should be. */
async function locate(
  family: Family,
  config: TransformerConfig,
  { checkpoint, body }: { checkpoint: Checkpoint; body: boolean },
): Promise<{ stored: StoredTensor; file: string }[]> {
  const { prefix } = family;
  const isBare = ![...checkpoint.names].some((name) => name.startsWith(prefix));
  const strip = (name: string): string => (name.startsWith(prefix) ? name.slice(prefix.length) : name);
  const place = (name: string): string => (isBare ? strip(name) : name);
  const located = family.storedTensors(config).map((stored) => {
    const alias = checkpoint.has(place(stored.name)) ? undefined : stored.aliases?.find((name) => checkpoint.has(place(name)));
    return { stored, file: place(alias ?? stored.name) };
  });

  const missing = located.filter(({ file }) => !checkpoint.has(file)).map(({ file }) => file);
  if (missing.length > 0) {
    const remedy = missing.includes('lm_head.weight')
      ? 'if the model ties its embeddings, config.json has to say "tie_word_embeddings": true'
      : 'config.json does not belong to these weights, or the download is incomplete';
    throw new CheckpointError(`${checkpoint.name} lacks ${list(missing)}: ${remedy}`, { file: checkpoint.name, tensor: missing[0]! });
  }
  const expected = new Set(located.map(({ file }) => file));
  const isTiedHead = (name: string): boolean => name === 'lm_head.weight' && config.tieEmbeddings;
  const isKnown = (name: string): boolean => expected.has(name) || (body && HEADS.has(name)) || family.isBuffer(strip(name)) || isTiedHead(name);
  const unexpected = [...checkpoint.names].filter((name) => !isKnown(name));
  if (unexpected.length > 0) {
    throw new CheckpointError(
      `${checkpoint.name} has ${list(unexpected)}, for which this ${config.family} configuration has no place: ` +
        'config.json does not belong to these weights',
      { file: checkpoint.name, tensor: unexpected[0]! },
    );
  }
  for (const { stored, file } of located) {
    const info = checkpoint.info(file);
    if (info.shape.join() !== stored.shape.join()) {
      throw new CheckpointError(
        `${info.file}: tensor ${file} is ${show(info.shape)}; config.json makes it ${show(stored.shape)}: they do not belong together`,
        { file: info.file, tensor: file },
      );
    }
  }
  if (!body && config.tieEmbeddings && checkpoint.has('lm_head.weight')) await checkTied(checkpoint, located[0]!.file);
  return located;
}

function list(names: readonly string[]): string {
  const shown = names.slice(0, 4).join(', ');
  return names.length === 1 ? `the tensor ${shown}` : `${names.length} tensors (${shown}${names.length > 4 ? ', …' : ''})`;
}

/** A file may store a tied output matrix a second time; it has to be the same. */
async function checkTied(checkpoint: Checkpoint, embedding: string): Promise<void> {
  const [head, table] = [checkpoint.info('lm_head.weight'), checkpoint.info(embedding)];
  let same = head.shape.join() === table.shape.join();
  const size = sizeOf(table.shape);
  const [a, b] = [new Float32Array(CHUNK), new Float32Array(CHUNK)];
  for (let first = 0; same && first < size; first += CHUNK) {
    const length = Math.min(CHUNK, size - first);
    await checkpoint.read('lm_head.weight', first, a.subarray(0, length));
    await checkpoint.read(embedding, first, b.subarray(0, length));
    for (let i = 0; same && i < length; i++) same = a[i] === b[i];
  }
  if (!same) {
    throw new CheckpointError(
      `${head.file}: lm_head.weight differs from ${embedding}, and config.json ties the two: ` +
        'if they are not tied, it has to say "tie_word_embeddings": false',
      { file: head.file, tensor: 'lm_head.weight' },
    );
  }
}

/** Values that lie in the file as they do in memory: the parts one after the other. */
async function loadPlain(
  builder: ParameterBuilder,
  checkpoint: Checkpoint,
  where: { file: string; parts: readonly ParameterSpec[]; chunk: Float32Array; offset: number },
): Promise<void> {
  const { file, parts, chunk } = where;
  let first = 0;
  for (const spec of parts) {
    await builder.add(spec, async (target) => {
      const rows = target.dim(0);
      const rowSize = target.size / rows;
      const step = Math.max(1, Math.floor(CHUNK / rowSize));
      for (let row = 0; row < rows; row += step) {
        const end = Math.min(rows, row + step);
        const length = (end - row) * rowSize;
        const values = length <= chunk.length ? chunk.subarray(0, length) : new Float32Array(length);
        await checkpoint.read(file, first + row * rowSize, values);
        if (where.offset !== 0) for (let i = 0; i < length; i++) values[i]! += where.offset;
        target.rows(row, end).write(values);
      }
    });
    first += sizeOf(spec.shape);
  }
}

/** A matrix (in, out₁ + out₂ + …) to parts (outᵢ, in). */
async function loadTransposed(
  builder: ParameterBuilder,
  checkpoint: Checkpoint,
  where: { stored: StoredTensor; file: string; parts: readonly ParameterSpec[] },
): Promise<void> {
  const [inputs = 0, outputs = 0] = where.stored.shape;
  const values = new Float32Array(inputs * outputs);
  await checkpoint.read(where.file, 0, values);
  let column = 0;
  for (const spec of where.parts) {
    const [rows = 0] = spec.shape;
    const part = new Float32Array(rows * inputs);
    for (let row = 0; row < rows; row++) {
      for (let i = 0; i < inputs; i++) part[row * inputs + i] = values[i * outputs + column + row]!;
    }
    builder.addSync(spec, part);
    column += rows;
  }
}

/**
 * A model's weights as the bytes of a safetensors file with its family's names, piece by piece; `head`: further tensors (f32) beside
 * them. f32 models only. Throws
 * CheckpointError when the model is quantized, or when a value is too large for `dtype`.
 */
export async function* encodeCheckpoint(
  model: Transformer,
  options: { readonly dtype?: FileDType; readonly head?: ReadonlyMap<string, Tensor>; readonly signal?: AbortSignal } = {},
): AsyncGenerator<Uint8Array<ArrayBuffer>, void, void> {
  const { dtype = 'f32', head = new Map<string, Tensor>(), signal } = options;
  if (model.dtype !== 'f32') {
    throw new CheckpointError(`a model held in ${model.dtype} has lost the weights it came from: load it in f32 to save it`, {
      file: '',
    });
  }
  const stored = families[model.config.family].storedTensors(model.config);
  const all = [...stored, ...Array.from(head, ([name, { shape }]) => ({ name, shape }))];
  yield encodeSafetensorsHeader(all.map(({ name, shape }) => ({ name, dtype: FILE_DTYPES[dtype], shape })), { format: 'pt' });
  for (const tensor of stored) {
    signal?.throwIfAborted();
    const parts = tensor.parameters.map((name) => model.parameters.get(name)!);
    if (tensor.transposed) yield narrow(await transposeParts(parts, tensor.shape), dtype, tensor.name);
    else for (const part of parts) for await (const values of readInChunks(part)) yield narrow(shifted(values, tensor.offset), dtype, tensor.name);
  }
  for (const [name, tensor] of head) for await (const values of readInChunks(tensor)) yield narrow(values, dtype, name);
}

/** Any f32 tensors, by name and in their order, as the bytes of a safetensors file. Throws CheckpointError for a value too large for `dtype`. */
export async function* encodeTensors(tensors: ReadonlyMap<string, Tensor>, dtype: FileDType): AsyncGenerator<Uint8Array<ArrayBuffer>, void, void> {
  yield encodeSafetensorsHeader(Array.from(tensors, ([name, { shape }]) => ({ name, dtype: FILE_DTYPES[dtype], shape })), { format: 'pt' });
  for (const [name, tensor] of tensors) for await (const values of readInChunks(tensor)) yield narrow(values, dtype, name);
}

const shifted = (values: Float32Array, offset = 0): Float32Array => (offset === 0 ? values : values.map((value) => value - offset));

async function* readInChunks(tensor: Tensor): AsyncGenerator<Float32Array<ArrayBufferLike>, void, void> {
  const rows = tensor.dim(0);
  const step = Math.max(1, Math.floor(CHUNK / (tensor.size / rows)));
  for (let row = 0; row < rows; row += step) yield await tensor.rows(row, Math.min(rows, row + step)).read();
}

/** Parts (outᵢ, in) side by side as (in, out₁ + out₂ + …). */
async function transposeParts(parts: readonly Tensor[], shape: readonly number[]): Promise<Float32Array> {
  const [inputs = 0, outputs = 0] = shape;
  const values = new Float32Array(inputs * outputs);
  let column = 0;
  for (const part of parts) {
    const rows = part.dim(0);
    const source = await part.read();
    for (let row = 0; row < rows; row++) {
      for (let i = 0; i < inputs; i++) values[i * outputs + column + row] = source[row * inputs + i]!;
    }
    column += rows;
  }
  return values;
}

/** The bytes of f32 values in a file's dtype. */
function narrow(values: Float32Array, dtype: FileDType, tensor: string): Uint8Array<ArrayBuffer> {
  if (dtype === 'f32') return new Uint8Array(values.slice().buffer);
  const halves = new Uint16Array(values.length);
  const [convert, infinity] = dtype === 'f16' ? ([f32ToF16, 0x7c00] as const) : ([f32ToBf16, 0x7f80] as const);
  convert(values, halves);
  for (let i = 0; i < halves.length; i++) {
    if ((halves[i]! & 0x7fff) === infinity && Number.isFinite(values[i])) {
      throw new CheckpointError(
        `tensor ${tensor} has the value ${count(values[i]!)}, which ${dtype} cannot hold: ` +
          `save it in ${dtype === 'f16' ? 'bf16 or f32' : 'f32'}`,
        { file: '', tensor },
      );
    }
  }
  return new Uint8Array(halves.buffer);
}
