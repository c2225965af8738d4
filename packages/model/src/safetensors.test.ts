import { Random } from '@parley/engine';
import { expect, test } from 'vitest';
import { CheckpointError } from './errors.ts';
import { type ByteSource, encodeSafetensorsHeader, readSafetensorsHeader } from './safetensors.ts';

function memorySource(bytes: Uint8Array, name = 'm.safetensors'): ByteSource {
  return {
    name,
    size: bytes.length,
    read: async (begin, into) => {
      if (begin + into.length > bytes.length) throw new Error(`read past the end: ${begin} + ${into.length} of ${bytes.length}`);
      into.set(bytes.subarray(begin, begin + into.length));
    },
  };
}

/** A file from its header's text and so many bytes of data. */
function file(header: string, dataBytes: number, length?: bigint): Uint8Array {
  const json = new TextEncoder().encode(header);
  const bytes = new Uint8Array(8 + json.length + dataBytes);
  new DataView(bytes.buffer).setBigUint64(0, length ?? BigInt(json.length), true);
  bytes.set(json, 8);
  return bytes;
}

const entry = (begin: number, end: number, dtype = 'F32', shape = [(end - begin) / 4]): string =>
  JSON.stringify({ dtype, shape, data_offsets: [begin, end] });

test('a header comes back as it was written, aligned to 64 bytes, with its metadata', async () => {
  const tensors = [
    { name: 'a.weight', dtype: 'F32', shape: [3, 5] },
    { name: 'naïve "quoted" \\ name', dtype: 'BF16', shape: [7] },
    { name: 'scalar', dtype: 'F16', shape: [] },
    { name: 'empty', dtype: 'F32', shape: [0, 4] },
  ];
  const header = encodeSafetensorsHeader(tensors, { format: 'pt' });
  expect(header.length % 64).toBe(0);
  const bytes = new Uint8Array(header.length + 60 + 14 + 2);
  bytes.set(header);
  const read = await readSafetensorsHeader(memorySource(bytes));
  expect(read.metadata).toEqual({ format: 'pt' });
  expect([...read.entries].map(([name, { dtype, shape }]) => ({ name, dtype, shape }))).toEqual(tensors);
  expect(read.entries.get('a.weight')).toMatchObject({ begin: header.length, end: header.length + 60 });
  expect(read.entries.get('scalar')).toMatchObject({ begin: header.length + 74, end: header.length + 76 });
});

test('tensors may be stored in another order than the header lists them, and the header may be empty', async () => {
  const read = await readSafetensorsHeader(memorySource(file(`{"b":${entry(8, 16)},"a":${entry(0, 8)}}`, 16)));
  expect([...read.entries.keys()]).toEqual(['b', 'a']);
  expect((await readSafetensorsHeader(memorySource(file('{}', 0)))).entries.size).toBe(0);
});

const malformed: readonly (readonly [what: string, bytes: Uint8Array, message: string])[] = [
  ['an empty file', new Uint8Array(0), '0 bytes are too few'],
  ['a header longer than the file', file('{}', 0, 500n), 'the header is said to have 500 bytes, the file has 10'],
  ['a header length beyond 2^63', file('{}', 0, 2n ** 64n - 1n), 'is said to have'],
  ['a header that is not JSON', file('{"a":', 0), 'not JSON'],
  ['a header that is not UTF-8', (() => { const bytes = file('{"a":1}', 0); bytes[10] = 0xff; return bytes; })(), 'not JSON'],
  ['a header that is a list', file('[]', 0), 'not a JSON object'],
  ['an entry without a shape', file('{"a":{"dtype":"F32","data_offsets":[0,4]}}', 4), 'tensor a: its header entry'],
  ['an entry with more than the format knows', file('{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"x":1}}', 4), 'tensor a: its header entry'],
  ['a negative extent', file(`{"a":${entry(0, 4, 'F32', [-1])}}`, 4), 'tensor a: its header entry'],
  ['a fractional offset', file('{"a":{"dtype":"F32","shape":[1],"data_offsets":[0.5,4.5]}}', 5), 'tensor a: its header entry'],
  ['an unknown dtype', file(`{"a":${entry(0, 4, 'F31', [1])}}`, 4), 'tensor a: dtype F31 is unknown: the format has F64, F32'],
  ['offsets in the wrong order', file('{"a":{"dtype":"F32","shape":[1],"data_offsets":[8,4]}}', 8), 'begins at byte 8 and ends before, at 4'],
  ['a tensor past the end', file(`{"a":${entry(0, 4000)}}`, 3996), 'tensor a: its data ends at byte 4,000, the file has 3,996 bytes of data: it is cut off'],
  ['a shape that does not take the bytes', file(`{"a":${entry(0, 24, 'F16', [3, 5])}}`, 24), 'shape [3, 5] in F16 takes 30 bytes; data_offsets give it 24'],
  ['overlapping tensors', file(`{"a":${entry(0, 8)},"b":${entry(4, 12)}}`, 12), 'tensors a and b overlap'],
  ['a hole', file(`{"a":${entry(0, 8)},"b":${entry(12, 16)}}`, 16), '4 bytes before tensor b belong to none'],
  ['a hole at the start', file(`{"a":${entry(4, 8)}}`, 8), '4 bytes before tensor a belong to none'],
  ['bytes behind the last tensor', file(`{"a":${entry(0, 4)}}`, 6), '2 bytes at the end belong to no tensor'],
  ['a name twice', file(`{"a":${entry(0, 4)},"b":${entry(4, 8)},"\\u0061":${entry(4, 8)}}`, 8), 'names a twice'],
  ['a key twice within an entry', file('{"a":{"dtype":"F32","shape":[1],"shape":[1],"data_offsets":[0,4]}}', 4), 'names shape twice'],
  ['metadata that is not strings', file('{"__metadata__":{"a":1}}', 0), '__metadata__ is not a map of strings'],
];

for (const [what, bytes, message] of malformed) {
  test(`${what} is a CheckpointError that says so and names the file`, async () => {
    const error = await readSafetensorsHeader(memorySource(bytes, 'some/model.safetensors')).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(CheckpointError);
    expect((error as CheckpointError).message).toContain(message);
    expect((error as CheckpointError).message).toMatch(/^some\/model\.safetensors: /);
    expect((error as CheckpointError).file).toBe('some/model.safetensors');
  });
}

test('five thousand damaged headers (seed 1) either parse or are CheckpointErrors', async () => {
  const random = new Random(1);
  const header = encodeSafetensorsHeader([{ name: 'a', dtype: 'F32', shape: [2, 3] }, { name: 'b', dtype: 'F16', shape: [4] }], { format: 'pt' });
  const whole = new Uint8Array(header.length + 32);
  whole.set(header);
  let refused = 0;
  for (let trial = 0; trial < 5_000; trial++) {
    const bytes = whole.slice(0, random.below(4) === 0 ? random.below(whole.length) : whole.length);
    for (let hit = random.below(3); hit >= 0 && bytes.length > 0; hit--) bytes[random.below(bytes.length)] = random.below(256);
    try {
      await readSafetensorsHeader(memorySource(bytes));
    } catch (error) {
      if (!(error instanceof CheckpointError)) throw error;
      refused++;
    }
  }
  expect(refused).toBeGreaterThan(2_000);
});
