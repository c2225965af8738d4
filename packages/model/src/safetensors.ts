/**
 * The safetensors container (huggingface/safetensors, format description in its README): 8 bytes of header length, u64
 * little-endian; a JSON header {name: {dtype, shape, data_offsets: [begin, end]}}, optionally padded with spaces, with a string map
 * under `__metadata__`; then the tensors' bytes, little-endian and row-major, which offsets count from and fill without holes.
 *
 * This file is the format alone. Bytes come from a ByteSource by ranges, so that a file is never held as a whole.
 */
import { CheckpointError, count } from './errors.ts';
import * as s from './schema.ts';

/** Random access to a file's bytes: a file handle, an HTTP resource with ranges, a Blob. */
export interface ByteSource {
  /** For messages: a path or an address. */
  readonly name: string;
  readonly size: number;
  /** Fills `into` with the bytes from `begin` on. Throws when there are not as many. */
  read(begin: number, into: Uint8Array): Promise<void>;
}

/** Bits of an element, by the format's names. */
const DTYPE_BITS: Readonly<Record<string, number>> = {
  F64: 64, F32: 32, F16: 16, BF16: 16, F8_E4M3: 8, F8_E5M2: 8, F8_E8M0: 8, F6_E2M3: 6, F6_E3M2: 6, F4: 4,
  I64: 64, I32: 32, I16: 16, I8: 8, U64: 64, U32: 32, U16: 16, U8: 8, BOOL: 8, C64: 64,
};

export interface SafetensorsEntry {
  /** The format's name: `F32`, `BF16`, … */
  readonly dtype: string;
  readonly shape: readonly number[];
  /** Bytes within the file. */
  readonly begin: number;
  readonly end: number;
}

export interface SafetensorsHeader {
  readonly entries: ReadonlyMap<string, SafetensorsEntry>;
  readonly metadata: Readonly<Record<string, string>>;
}

/** The format's own limit: a longer header is a corrupt length. */
const MAXIMUM_HEADER = 100_000_000;
const LENGTH_BYTES = 8;

const whole = s.whole(0);
const entrySchema = s.strictObject({ dtype: s.string(), shape: s.array(whole), data_offsets: s.pair(whole) });

/** Reads and checks a file's header. Throws CheckpointError naming the file and, where one is to blame, the tensor. */
export async function readSafetensorsHeader(source: ByteSource): Promise<SafetensorsHeader> {
  const file = source.name;
  const fail = (message: string, details: { tensor?: string; cause?: unknown } = {}): never => {
    throw new CheckpointError(`${file}: ${message}`, { file, ...details });
  };
  if (source.size < LENGTH_BYTES) {
    fail(
      `${source.size} bytes are too few for a safetensors file, which starts with 8 bytes of header length: ` +
        'the file is not one, or cut off',
    );
  }
  const lengthBytes = new Uint8Array(LENGTH_BYTES);
  await source.read(0, lengthBytes);
  const length = Number(new DataView(lengthBytes.buffer).getBigUint64(0, true));
  if (length > MAXIMUM_HEADER || LENGTH_BYTES + length > source.size) {
    fail(
      `the header is said to have ${count(length)} bytes, the file has ${count(source.size)}: ` +
        'it is not a safetensors file, or cut off; fetch it again',
    );
  }
  const headerBytes = new Uint8Array(length);
  await source.read(LENGTH_BYTES, headerBytes);

  let text = '';
  let parsed: unknown;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(headerBytes);
    parsed = JSON.parse(text);
  } catch (cause) {
    fail('the header is not JSON: the file is not a safetensors file, or damaged; fetch it again', { cause });
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) fail('the header is not a JSON object');
  const duplicate = duplicateKey(text);
  if (duplicate !== null) fail(`the header names ${duplicate} twice: the file is damaged or forged`, { tensor: duplicate });

  const start = LENGTH_BYTES + length;
  const entries = new Map<string, SafetensorsEntry>();
  let metadata: Record<string, string> = {};
  for (const [name, value] of Object.entries(parsed as Record<string, unknown>)) {
    if (name === '__metadata__') {
      const result = s.record(s.string()).safeParse(value);
      if (!result.success) fail('__metadata__ is not a map of strings', { cause: result.error });
      metadata = result.data ?? {};
      continue;
    }
    entries.set(name, parseEntry(value, { name, start, size: source.size, fail }));
  }
  checkCoverage(entries, { start, size: source.size, fail });
  return { entries, metadata };
}

type Fail = (message: string, details?: { tensor?: string; cause?: unknown }) => never;

function parseEntry(value: unknown, place: { name: string; start: number; size: number; fail: Fail }): SafetensorsEntry {
  const { name, start, size } = place;
  const fail = (message: string, cause?: unknown): never => place.fail(`tensor ${name}: ${message}`, { tensor: name, cause });
  const result = entrySchema.safeParse(value);
  if (!result.success) return fail('its header entry is not {dtype, shape, data_offsets: [begin, end]} with whole numbers', result.error);
  const { dtype, shape, data_offsets: [begin, end] } = result.data;
  const bits = Object.hasOwn(DTYPE_BITS, dtype) ? DTYPE_BITS[dtype] : undefined;
  if (bits === undefined) return fail(`dtype ${dtype.slice(0, 40)} is unknown: the format has ${Object.keys(DTYPE_BITS).join(', ')}`);
  const bytes = (shape.reduce((product, extent) => product * extent, 1) * bits) / 8;
  if (begin > end) return fail(`its data begins at byte ${count(begin)} and ends before, at ${count(end)}`);
  if (start + end > size) {
    return fail(`its data ends at byte ${count(end)}, the file has ${count(size - start)} bytes of data: it is cut off; fetch it again`);
  }
  if (end - begin !== bytes) {
    return fail(`shape [${shape.join(', ')}] in ${dtype} takes ${count(bytes)} bytes; data_offsets give it ${count(end - begin)}`);
  }
  return { dtype, shape, begin: start + begin, end: start + end };
}

/** The tensors lie one after the other and fill the data: no overlap, no hole, nothing behind. */
function checkCoverage(entries: ReadonlyMap<string, SafetensorsEntry>, place: { start: number; size: number; fail: Fail }): void {
  const { start, size, fail } = place;
  const ordered = [...entries].sort(([, a], [, b]) => a.begin - b.begin || a.end - b.end);
  let end = start;
  let previous = '';
  for (const [tensor, entry] of ordered) {
    if (entry.begin < end) fail(`tensors ${previous} and ${tensor} overlap: the file is damaged`, { tensor });
    if (entry.begin > end) fail(`${count(entry.begin - end)} bytes before tensor ${tensor} belong to none: the file is damaged`, { tensor });
    end = entry.end;
    previous = tensor;
  }
  if (end !== size) fail(`${count(size - end)} bytes at the end belong to no tensor: the file is damaged, or two files were joined`);
}

/** The first key that some object in a valid JSON text has twice, which JSON.parse would pass over. */
function duplicateKey(text: string): string | null {
  const scopes: { readonly isObject: boolean; readonly keys: Set<string>; expectsKey: boolean }[] = [];
  for (let i = 0; i < text.length; i++) {
    const scope = scopes.at(-1);
    const character = text[i];
    if (character === '{' || character === '[') scopes.push({ isObject: character === '{', keys: new Set(), expectsKey: true });
    else if (character === '}' || character === ']') scopes.pop();
    else if (character === ',' && scope) scope.expectsKey = true;
    else if (character === '"') {
      const from = i;
      for (i++; text[i] !== '"'; i++) if (text[i] === '\\') i++;
      if (scope?.isObject && scope.expectsKey) {
        const key = JSON.parse(text.slice(from, i + 1)) as string;
        if (scope.keys.has(key)) return key;
        scope.keys.add(key);
        scope.expectsKey = false;
      }
    }
  }
  return null;
}

/** Data starts on a cache line, so that a mapped file's tensors are aligned for any element type. */
const ALIGNMENT = 64;

/**
 * The bytes in front of the data of tensors stored in this order, one after the other. Throws CheckpointError for a dtype that the
 * format does not have and for a name used twice.
 */
export function encodeSafetensorsHeader(
  tensors: readonly { readonly name: string; readonly dtype: string; readonly shape: readonly number[] }[],
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array<ArrayBuffer> {
  const header: Record<string, unknown> = Object.keys(metadata).length > 0 ? { __metadata__: metadata } : {};
  let offset = 0;
  for (const { name, dtype, shape } of tensors) {
    const bits = DTYPE_BITS[dtype];
    const fail = (message: string): never => {
      throw new CheckpointError(message, { file: '', tensor: name });
    };
    if (bits === undefined) return fail(`dtype ${dtype} of tensor ${name} is unknown: the format has ${Object.keys(DTYPE_BITS).join(', ')}`);
    if (name === '__metadata__' || Object.hasOwn(header, name)) fail(`the tensor name ${name} is taken: give each tensor its own`);
    const end = offset + (shape.reduce((product, extent) => product * extent, 1) * bits) / 8;
    header[name] = { dtype, shape, data_offsets: [offset, end] };
    offset = end;
  }
  const json = new TextEncoder().encode(JSON.stringify(header));
  const length = Math.ceil((LENGTH_BYTES + json.length) / ALIGNMENT) * ALIGNMENT - LENGTH_BYTES;
  const bytes = new Uint8Array(LENGTH_BYTES + length).fill(0x20);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(length), true);
  bytes.set(json, LENGTH_BYTES);
  return bytes;
}
