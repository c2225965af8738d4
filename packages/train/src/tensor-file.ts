/**
 * The tensors of a checkpoint: named f32 values in one safetensors file, exact bits, written through to the disk and read
 * straight into tensors that exist already. The format and the files are the model package's.
 */
import type { Tensor } from '@parley/engine';
import { Checkpoint as TensorFile, encodeSafetensorsHeader, ModelError } from '@parley/model';
import { FileSource, writeAtomic } from '@parley/model/node';
import { CheckpointError } from './errors.ts';

/** Writes all of `tensors` (f32), in their order. The file is there, whole and synced, once this resolves. */
export async function writeTensors(path: string, tensors: ReadonlyMap<string, Tensor>): Promise<void> {
  await writeAtomic(path, encode(tensors));
}

/** One tensor in memory at a time. */
async function* encode(tensors: ReadonlyMap<string, Tensor>): AsyncGenerator<Uint8Array, void> {
  yield encodeSafetensorsHeader(Array.from(tensors, ([name, { shape }]) => ({ name, dtype: 'F32', shape })));
  for (const tensor of tensors.values()) {
    const values = await tensor.read();
    yield new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  }
}

/**
 * Fills every one of `tensors` from a file that `writeTensors` wrote. Throws CheckpointError for a damaged file, and for one that
 * does not hold exactly these tensors.
 */
export async function readTensors(path: string, tensors: ReadonlyMap<string, Tensor>): Promise<void> {
  try {
    await using source = await FileSource.open(path);
    const file = await TensorFile.open([source], { name: path });
    for (const name of file.names) {
      if (!tensors.has(name)) throw new CheckpointError(`${path} has a tensor ${name}, the model has none: it is the checkpoint of another model`);
    }
    for (const [name, tensor] of tensors) {
      if (!file.has(name)) throw new CheckpointError(`${path} has no tensor ${name}: it is the checkpoint of another model`);
      const { dtype, shape } = file.info(name);
      if (dtype !== 'F32' || shape.join() !== tensor.shape.join()) {
        throw new CheckpointError(
          `${path} has ${name} as ${dtype} [${shape.join(', ')}], the model wants F32 [${tensor.shape.join(', ')}]: ` +
            'it is the checkpoint of another model',
        );
      }
      const values = new Float32Array(tensor.size);
      await file.read(name, 0, values);
      tensor.write(values);
    }
  } catch (error) {
    if (!(error instanceof ModelError)) throw error;
    throw new CheckpointError(`${path} cannot be read: remove its folder, and the run goes on from the checkpoint before`, { cause: error });
  }
}
