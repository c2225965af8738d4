/**
 * Named f32 tensors in one safetensors file (https://huggingface.co/docs/safetensors): an 8-byte length, a JSON header, raw
 * little-endian values. Model folders are the model package's; this is what checkpoints need of the format: exact bits,
 * written through to the disk, read straight into tensors that exist already.
 */
import { closeSync, fsyncSync, openSync, readSync, statSync, writeSync } from 'node:fs';
import type { Tensor } from '@parley/engine';
import { CheckpointError } from './errors.ts';

interface Entry { readonly dtype: string; readonly shape: readonly number[]; readonly data_offsets: readonly [number, number] }

/** Writes and syncs. The file is whole only when this resolves: write it where it may be half. */
export async function writeTensors(path: string, tensors: ReadonlyMap<string, Tensor>): Promise<void> {
  const header: Record<string, Entry> = {};
  let end = 0;
  for (const [name, { shape, size }] of tensors) header[name] = { dtype: 'F32', shape, data_offsets: [end, end += size * 4] };
  const json = Buffer.from(JSON.stringify(header));
  const padded = Buffer.alloc(Math.ceil(json.length / 8) * 8, ' ');
  json.copy(padded);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(padded.length));
  const fd = openSync(path, 'w');
  try {
    writeAll(fd, length);
    writeAll(fd, padded);
    for (const tensor of tensors.values()) {
      const values = await tensor.read();
      writeAll(fd, new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
    }
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** Reads every one of `tensors` from a file written by `writeTensors`. Throws CheckpointError where the file does not fit. */
export function readTensors(path: string, tensors: ReadonlyMap<string, Tensor>): void {
  const fd = openSync(path, 'r');
  try {
    const size = statSync(path).size;
    const headerLength = size < 8 ? 0 : Number(readExactly(fd, 8, 0).readBigUInt64LE());
    if (headerLength < 2 || headerLength > size - 8) throw new CheckpointError(`${path} is not a safetensors file: take an earlier checkpoint`);
    const header = JSON.parse(readExactly(fd, headerLength, 8).toString()) as Record<string, Entry>;
    for (const [name, tensor] of tensors) {
      const entry = header[name];
      if (entry === undefined) throw new CheckpointError(`${path} has no tensor ${name}: it is the checkpoint of another model`);
      const [from, to] = entry.data_offsets;
      if (entry.shape.join() !== tensor.shape.join() || to - from !== tensor.size * 4) {
        throw new CheckpointError(`${path} has ${name} as [${entry.shape.join(', ')}], the model wants [${tensor.shape.join(', ')}]`);
      }
      if (8 + headerLength + to > size) throw new CheckpointError(`${path} ends within ${name}: take an earlier checkpoint`);
      const bytes = readExactly(fd, to - from, 8 + headerLength + from);
      tensor.write(new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length)));
    }
  } finally {
    closeSync(fd);
  }
}

function writeAll(fd: number, bytes: Uint8Array): void {
  let done = 0;
  while (done < bytes.length) done += writeSync(fd, bytes, done);
}

function readExactly(fd: number, length: number, position: number): Buffer {
  const bytes = Buffer.alloc(length);
  let done = 0;
  while (done < length) {
    const got = readSync(fd, bytes, done, length - done, position + done);
    if (got === 0) throw new CheckpointError('the file ended early: take an earlier checkpoint');
    done += got;
  }
  return bytes;
}
