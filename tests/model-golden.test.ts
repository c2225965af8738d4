/** The model against PyTorch: folders, logits, losses and gradients written by golden/model/generate.py. */
import { join } from 'node:path';
import { Arena, type Backend, ReferenceBackend, Tape } from '@parley/engine';
import { createBackend } from '@parley/engine/node';
import { type ByteSource, Checkpoint, encodeCheckpoint, singleSequence, Transformer } from '@parley/model';
import { FileSource, loadModel } from '@parley/model/node';
import { expect, test } from 'vitest';
import { readTensor } from './golden.ts';

const TOKENS = [3, 17, 0, 39, 8, 8, 21, 5, 30, 12, 1, 26];
const TARGETS = Int32Array.of(17, 0, 39, 8, 8, -100, 5, 30, 12, -100, 26, 2);

const folder = (name: string): string => join(import.meta.dirname, 'golden', 'model', name);

/** The largest difference relative to the largest magnitude expected. */
function relativeDifference(got: Float32Array, want: Float32Array): number {
  expect(got.length).toBe(want.length);
  const largest = want.reduce((max, value) => Math.max(max, Math.abs(value)), 1e-3);
  return want.reduce((max, value, i) => Math.max(max, Math.abs(got[i]! - value)), 0) / largest;
}

/** The model's gradients as a checkpoint in its family's own names and layouts. */
async function gradientCheckpoint(model: Transformer): Promise<Checkpoint> {
  const gradients = new Map([...model.parameters].map(([name, tensor]) => [name, tensor.grad!] as const));
  const pieces: Uint8Array[] = [];
  for await (const piece of encodeCheckpoint(new Transformer(model.backend, model.config, gradients))) pieces.push(piece);
  const bytes = Buffer.concat(pieces);
  const source: ByteSource = {
    name: 'gradients',
    size: bytes.length,
    read: async (begin, into) => into.set(bytes.subarray(begin, begin + into.length)),
  };
  return await Checkpoint.open([source], { name: 'gradients' });
}

const backends: Record<string, () => Promise<Backend>> = {
  reference: async () => new ReferenceBackend(),
  wasm: () => createBackend({ backend: 'wasm', threads: 2 }),
};

for (const [backendName, create] of Object.entries(backends)) {
  for (const name of ['tiny-gpt2', 'tiny-llama']) {
    test(`${name} on ${backendName}: logits, losses and every gradient are PyTorch's, within 1e-5 of the largest`, async () => {
      await using backend = await create();
      using model = await loadModel(folder(name), { backend });
      await using file = await FileSource.open(join(folder(name), 'expected.safetensors'));
      const expected = await Checkpoint.open([file], { name });

      using arena = new Arena(backend);
      const batch = singleSequence(TOKENS);
      const logits = await model.forward({ arena, tape: null }, batch).read();
      expect(relativeDifference(logits, await readTensor(expected, 'logits'))).toBeLessThan(1e-5);

      const tape = new Tape();
      const losses = await model.loss({ arena, tape }, batch, { targets: TARGETS }).read();
      expect(relativeDifference(losses, await readTensor(expected, 'losses'))).toBeLessThan(1e-5);
      tape.backward();
      const gradients = await gradientCheckpoint(model);
      const names = [...expected.names].filter((tensor) => tensor.startsWith('gradient.')).map((tensor) => tensor.slice('gradient.'.length));
      expect(new Set(gradients.names)).toEqual(new Set(names));
      const differences = await Promise.all(
        names.map(async (tensor) => relativeDifference(await readTensor(gradients, tensor), await readTensor(expected, `gradient.${tensor}`))),
      );
      expect(Math.max(...differences)).toBeLessThan(1e-5);
    });
  }
}
