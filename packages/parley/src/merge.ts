/** A model folder from a model and the adapters that stand beside it. */
import { mkdir, readdir } from 'node:fs/promises';
import { resolve } from 'node:path';
import { createBackend } from '@parley/engine/node';
import { loadAdapter, loadGenerationConfig, loadModel, resolveAdapter, resolveModel, saveModel } from '@parley/model/node';
import { loadTokenizer, saveTokenizer } from '@parley/tokenizer/node';
import { UsageError } from './errors.ts';

/** Returns the folder. Throws UsageError for one that is there already, and what loading and saving throw. */
export async function mergeAdapters(
  name: string, options: { readonly adapters: readonly { path: string; weight?: number }[]; readonly output: string; readonly dtype: 'f32' | 'f16' | 'bf16' },
): Promise<string> {
  const output = resolve(options.output);
  if ((await readdir(output).catch((): string[] => [])).length > 0) throw new UsageError(`${options.output} holds something already: choose a new folder`);
  const folder = await resolveModel(name);
  const adapters = await Promise.all(options.adapters.map(async ({ path, weight = 1 }) => ({ folder: await resolveAdapter(path), weight })));
  await using backend = await createBackend();
  using model = await loadModel(folder, { backend, dtype: 'f32' });
  for (const { folder: adapterFolder, weight } of adapters) {
    using adapter = await loadAdapter(adapterFolder, { backend, config: model.config });
    model.mergeAdapter({ adapter, weight });
  }
  await mkdir(output, { recursive: true });
  await saveTokenizer(await loadTokenizer(folder), output);
  await saveModel(model, output, { dtype: options.dtype, generation: await loadGenerationConfig(folder) });
  return output;
}
