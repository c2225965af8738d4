import { describe, expect, test } from 'vitest';
import {
  encodeGgufHeader, GgufError, type GgufSource, type GgufValue, padding, plainMetadata, readGguf, TENSOR_TYPES, type TensorType, tensorBytes,
} from './index.ts';

const sourceOf = (bytes: Uint8Array, name = 'test.gguf'): GgufSource => ({
  name,
  size: bytes.length,
  read: (begin, into) => {
    into.set(bytes.subarray(begin, begin + into.length));
    return Promise.resolve();
  },
});

/** Mulberry32 (Tommy Ettinger): 32 random bits at a time. */
function randomBits(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return (t ^ (t >>> 14)) >>> 0;
  };
}

const everyValue = new Map<string, GgufValue>([
  ['u8', { type: 'u8', value: 255 }], ['i8', { type: 'i8', value: -128 }], ['u16', { type: 'u16', value: 65_535 }], ['i16', { type: 'i16', value: -32_768 }],
  ['u32', { type: 'u32', value: 4_294_967_295 }], ['i32', { type: 'i32', value: -2_147_483_648 }], ['f32', { type: 'f32', value: -0.375 }],
  ['f64', { type: 'f64', value: Math.PI }], ['u64', { type: 'u64', value: (1n << 64n) - 1n }], ['i64', { type: 'i64', value: -(1n << 63n) }],
  ['yes', { type: 'bool', value: true }], ['no', { type: 'bool', value: false }], ['text', { type: 'string', value: 'Grüße, 世界 \u0000 😀' }], ['empty', { type: 'string', value: '' }],
  ['numbers', { type: 'array', items: 'i32', value: [1, -2, 3] }], ['none', { type: 'array', items: 'string', value: [] }],
  ['texts', { type: 'array', items: 'string', value: ['a', '', 'ß'] }], ['truths', { type: 'array', items: 'bool', value: [true, false] }],
  ['big', { type: 'array', items: 'u64', value: [5n, 1n << 60n] }],
  ['nested', { type: 'array', items: 'array', value: [{ type: 'array', items: 'u8', value: [1, 2] }, { type: 'array', items: 'string', value: ['x'] }] }],
]);

const tensors = [
  { name: 'a', type: 'F32', shape: [3, 5] }, { name: 'b', type: 'Q4_0', shape: [2, 64] }, { name: 'c', type: 'Q6_K', shape: [2, 1, 256] }, { name: 'd', type: 'F16', shape: [7] },
] as const satisfies readonly { name: string; type: TensorType; shape: readonly number[] }[];

/** A whole file, its tensors' data zeros. */
function sample(metadata: ReadonlyMap<string, GgufValue> = everyValue): Uint8Array {
  const data = tensors.flatMap(({ type, shape }) => {
    const bytes = tensorBytes(type, shape.reduce((product: number, extent) => product * extent, 1));
    return [new Uint8Array(bytes), padding(bytes)];
  });
  const pieces = [encodeGgufHeader({ metadata, tensors }), ...data];
  const file = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    file.set(piece, at);
    at += piece.length;
  }
  return file;
}

test('every type of value, nested arrays too, and every tensor come back as they were written', async () => {
  const bytes = sample();
  const file = await readGguf(sourceOf(bytes));
  expect(file.metadata).toEqual(everyValue);
  expect(plainMetadata(file.metadata)['big']).toEqual([5, 1n << 60n]);
  let end = 0;
  for (const { name, type, shape } of tensors) {
    const found = file.tensors.get(name)!;
    expect(found).toMatchObject({ type, shape });
    expect(found.begin % 32).toBe(0);
    expect(found.end - found.begin).toBe(tensorBytes(type, found.shape.reduce((product, extent) => product * extent, 1)));
    expect(found.begin).toBeGreaterThanOrEqual(end);
    ({ end } = found);
  }
  expect(Math.ceil(end / 32) * 32).toBe(bytes.length);
});

test('strings and arrays that are longer than the reader\'s window come back whole', async () => {
  const texts = Array.from({ length: 40_000 }, (_, i) => `token ${i} ${'é'.repeat(i % 17)}`);
  const metadata = new Map<string, GgufValue>([
    ['long', { type: 'string', value: 'x'.repeat(600_000) }], ['texts', { type: 'array', items: 'string', value: texts }],
    ['numbers', { type: 'array', items: 'f32', value: Array.from({ length: 100_000 }, (_, i) => i / 4) }],
  ]);
  expect((await readGguf(sourceOf(sample(metadata)))).metadata).toEqual(metadata);
});

describe('a damaged file is refused with its name and the field', () => {
  /** Changes bytes at the place of a text within the file, or from its beginning. */
  const broken = (change: (bytes: Uint8Array, view: DataView, after: (text: string) => number) => Uint8Array | void): Uint8Array => {
    const bytes = sample();
    const after = (text: string): number => {
      const at = Buffer.from(bytes).indexOf(text);
      if (at < 0) throw new Error(`no ${text}`);
      return at + text.length;
    };
    return change(bytes, new DataView(bytes.buffer), after) ?? bytes;
  };
  const cases: readonly [what: string, bytes: Uint8Array, message: RegExp][] = [
    ['another format', broken((bytes) => bytes.set([1, 2, 3, 4])), /magic: the file does not begin with "GGUF"/],
    ['empty', new Uint8Array(0), /0 bytes are too few/],
    ['version 1', broken((_, view) => view.setUint32(4, 1, true)), /version 1 is not one that Parley reads/],
    ['big-endian', broken((_, view) => view.setUint32(4, 3, false)), /big-endian/],
    ['2⁶⁰ tensors', broken((_, view) => view.setBigUint64(8, 1n << 60n, true)), /number of tensors: it says 1,152,921,504,606,846,976, which is beyond any file/],
    ['more tensors than fit', broken((_, view) => view.setBigUint64(8, 1_000_000n, true)), /number of tensors: it says 1,000,000, which takes at least 32,000,000 bytes/],
    ['more pairs than fit', broken((_, view) => view.setBigUint64(16, 1n << 40n, true)), /number of metadata pairs: it says/],
    ['a type that is none', broken((_, view, after) => view.setUint32(after('text'), 99, true)), /text: its type is number 99/],
    ['a string beyond the end', broken((_, view, after) => view.setBigUint64(after('text') + 4, 1n << 33n, true)), /text: it takes 8,589,934,592 bytes/],
    ['an array beyond the end', broken((_, view, after) => view.setBigUint64(after('numbers') + 8, 1n << 33n, true)), /numbers: it says 8,589,934,592, which takes at least/],
    ['a truth value of 7', broken((bytes, _, after) => void (bytes[after('yes') + 4] = 7)), /yes: a truth value is 7/],
    ['text that is not UTF-8', broken((bytes, _, after) => void (bytes[after('text') + 13] = 0xff)), /text: a text of \d+ bytes is not UTF-8/],
    ['a tensor of five dimensions', broken((_, view, after) => view.setUint32(after('nested') + 4 + 12 + 12 + 2 + 12 + 9 + 8 + 1, 5, true)), /tensor a: it has 5 dimensions/],
    ['cut off in the data', broken((bytes) => bytes.subarray(0, -64)), /tensor [cd]: its data ends at byte .*: it is cut off/],
    ['cut off in the front', broken((bytes) => bytes.subarray(0, 200)), /it is damaged or cut off/],
  ];
  test.each(cases)('%s', async (_, bytes, message) => {
    const error = await readGguf(sourceOf(bytes)).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(GgufError);
    expect((error as GgufError).message).toMatch(message);
    expect((error as GgufError).message.startsWith('test.gguf: ')).toBe(true);
    expect((error as GgufError).file).toBe('test.gguf');
  });

  test('arrays nested a hundred thousand deep', async () => {
    let value: GgufValue = { type: 'array', items: 'u8', value: [] };
    for (let depth = 0; depth < 6; depth++) value = { type: 'array', items: 'array', value: [value] };
    await expect(readGguf(sourceOf(sample(new Map([['deep', value]]))))).rejects.toThrow('deep: arrays lie in arrays 5 deep');
  });

  test('names twice, overlapping tensors and odd alignments', async () => {
    const bytes = sample(new Map<string, GgufValue>([['one', { type: 'u8', value: 1 }], ['two', { type: 'u8', value: 1 }]]));
    const at = Buffer.from(bytes).indexOf('two');
    bytes.set(new TextEncoder().encode('one'), at);
    await expect(readGguf(sourceOf(bytes))).rejects.toThrow('one: the key is there twice');
    await expect(readGguf(sourceOf(sample(new Map([['general.alignment', { type: 'u32', value: 12 }]]))))).rejects.toThrow('general.alignment: is 12');
    const header = encodeGgufHeader({ metadata: new Map(), tensors: [{ name: 'first', type: 'F32', shape: [16] }, { name: 'other', type: 'F32', shape: [16] }] });
    const file = new Uint8Array(header.length + 128);
    file.set(header);
    new DataView(file.buffer).setBigUint64(Buffer.from(file).indexOf('other') + 5 + 4 + 8 + 4, 0n, true);
    await expect(readGguf(sourceOf(file))).rejects.toThrow('tensor other: its data lies over that of first');
  });
});

test('the writer refuses a name twice, rows that are no whole blocks, and numbers that do not fit', () => {
  const metadata = new Map<string, GgufValue>();
  expect(() => encodeGgufHeader({ metadata, tensors: [tensors[0], tensors[0]] })).toThrow('tensor a: the name is taken');
  expect(() => encodeGgufHeader({ metadata, tensors: [{ name: 'x', type: 'Q8_0', shape: [4, 40] }] })).toThrow('[4, 40] cannot be written in Q8_0');
  expect(() => encodeGgufHeader({ metadata: new Map([['n', { type: 'u8', value: 256 }]]), tensors: [] })).toThrow('n: 256 is no u8');
  expect(() => encodeGgufHeader({ metadata: new Map([['n', { type: 'u32', value: 0.5 }]]), tensors: [] })).toThrow('n: 0.5 is no u32');
});

test('blocks are whole numbers of bytes, and every type has its own number', () => {
  const ids = Object.values(TENSOR_TYPES).map(({ id }) => id);
  expect(new Set(ids).size).toBe(ids.length);
});

/** Counts what is asked of a source, and holds every request to the file. */
function counting(bytes: Uint8Array): GgufSource & { readonly largest: () => number; readonly total: () => number } {
  let [largest, total] = [0, 0];
  const source = sourceOf(bytes);
  return {
    ...source,
    largest: () => largest,
    total: () => total,
    read: (begin, into) => {
      if (begin < 0 || begin + into.length > bytes.length) throw new Error(`read of ${into.length} bytes at ${begin} of ${bytes.length}`);
      largest = Math.max(largest, into.length);
      total += into.length;
      return source.read(begin, into);
    },
  };
}

/** Damage as disks and forgers do it. */
function mutate(original: Uint8Array, random: () => number): Uint8Array {
  const bytes = original.slice();
  const view = new DataView(bytes.buffer);
  const changes = 1 + (random() % 3);
  for (let i = 0; i < changes; i++) {
    const at = random() % bytes.length;
    switch (random() % 6) {
      case 0: bytes[at]! ^= 1 << (random() % 8); break;
      case 1: bytes[at] = random(); break;
      case 2: if (at + 8 <= bytes.length) view.setBigUint64(at, BigInt(random()) << BigInt(random() % 40), true); break;
      case 3: if (at + 4 <= bytes.length) view.setUint32(at, [0, 1, 0x7fff_ffff, 0xffff_ffff, 9, 8][random() % 6]!, true); break;
      case 4: bytes.copyWithin(at, random() % bytes.length, random() % bytes.length); break;
      default: return bytes.slice(0, at);
    }
  }
  return bytes;
}

test('5,000 mutations, seed 1: read, or refused with the file\'s name; never more read at once than the file has, or in sum than six times it', async () => {
  const random = randomBits(1);
  const original = sample();
  let refused = 0;
  for (let i = 0; i < 5_000; i++) {
    const bytes = mutate(original, random);
    const source = counting(bytes);
    try {
      await readGguf(source);
    } catch (error) {
      if (!(error instanceof GgufError) || !error.message.startsWith('test.gguf: ')) throw new Error(`mutation ${i}`, { cause: error });
      refused++;
    }
    expect(source.largest()).toBeLessThanOrEqual(bytes.length);
    expect(source.total()).toBeLessThanOrEqual(6 * bytes.length);
  }
  expect(refused).toBeGreaterThan(2_000);
});
