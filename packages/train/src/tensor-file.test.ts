import { mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ReferenceBackend, Tensor } from '@parley/engine';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { CheckpointError } from './errors.ts';
import { readTensors, writeTensors } from './tensor-file.ts';

let folder = '';
beforeAll(async () => void (folder = await mkdtemp(join(tmpdir(), 'parley-tensors-'))));
afterAll(() => rm(folder, { recursive: true }));

const backend = new ReferenceBackend();
const tensor = (shape: readonly number[], values: readonly number[] = []): Tensor => {
  const made = Tensor.allocate(backend, shape);
  if (values.length > 0) made.write(Float32Array.from(values));
  return made;
};

test('tensors come back bit for bit, also signed zeros, subnormals, infinities and an empty one', async () => {
  const path = join(folder, 'bits');
  const values = [1, -0, 1e-45, -Infinity, 3.4e38, 0.1];
  await writeTensors(path, new Map([['m.a', tensor([2, 3], values)], ['empty', tensor([0])], ['v.a', tensor([1], [7])]]));
  const back = new Map([['v.a', tensor([1])], ['m.a', tensor([2, 3])], ['empty', tensor([0])]]);
  await readTensors(path, back);
  expect(await back.get('m.a')?.read()).toEqual(Float32Array.from(values));
  expect(await back.get('v.a')?.read()).toEqual(Float32Array.of(7));
});

test('another model\'s tensors are refused with the name and both shapes', async () => {
  const path = join(folder, 'other');
  await writeTensors(path, new Map([['a', tensor([4])], ['b', tensor([2])]]));
  const read = (tensors: [string, Tensor][]): Promise<void> => readTensors(path, new Map(tensors));
  await expect(read([['a', tensor([2, 2])], ['b', tensor([2])]])).rejects.toThrow('has a as F32 [4], the model wants F32 [2, 2]');
  await expect(read([['a', tensor([4])]])).rejects.toThrow('has a tensor b, the model has none');
  await expect(read([['a', tensor([4])], ['b', tensor([2])], ['c', tensor([1])]])).rejects.toThrow('has no tensor c');
});

test('a missing, cut off or foreign file is a CheckpointError that says what to do', async () => {
  const path = join(folder, 'damaged');
  await writeTensors(path, new Map([['a', tensor([100])]]));
  const tensors = new Map([['a', tensor([100])]]);
  const { length } = await readFile(path);
  for (const size of [length - 1, 100, 8, 0]) {
    await truncate(path, size);
    await expect(readTensors(path, tensors)).rejects.toThrow(CheckpointError);
  }
  await writeFile(path, 'not a checkpoint at all');
  await expect(readTensors(path, tensors)).rejects.toThrow('remove its folder');
  await expect(readTensors(join(folder, 'none'), tensors)).rejects.toThrow(CheckpointError);
});
