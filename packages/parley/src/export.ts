/** A model in another file format. */
import { readdir, stat } from 'node:fs/promises';
import { basename, resolve } from 'node:path';
import { createBackend } from '@parley/engine/node';
import type { FileDType, GgufDType } from '@parley/model';
import { loadGenerationConfig, loadModel, resolveModel, saveGguf, saveModel } from '@parley/model/node';
import { tokenizerToGguf } from '@parley/tokenizer';
import { loadTokenizer, saveTokenizer } from '@parley/tokenizer/node';
import { UsageError } from './errors.ts';

/** What each format's weights can be stored in, the default first. */
export const FORMATS = {
  gguf: ['f16', 'q8_0', 'q4_0', 'f32'],
  safetensors: ['bf16', 'f32', 'f16'],
} as const satisfies { gguf: readonly GgufDType[]; safetensors: readonly FileDType[] };

export type Format = keyof typeof FORMATS;

export interface ExportOptions {
  readonly to: Format;
  readonly dtype?: string;
  /** A GGUF file, or a folder for safetensors. Nothing is there yet. */
  readonly output: string;
}

/** Returns the path written and its bytes. Throws UsageError for a dtype the format lacks and a place that is taken, and what loading and saving throw. */
export async function exportModel(name: string, { to, dtype, output }: ExportOptions): Promise<{ path: string; bytes: number }> {
  const path = resolve(output);
  const known: readonly string[] = FORMATS[to];
  if (dtype !== undefined && !known.includes(dtype)) throw new UsageError(`--dtype is ${dtype}: ${to} files are written in ${known.join(', ')}`);
  if (to === 'gguf' && !path.endsWith('.gguf')) throw new UsageError(`--output is ${output}: a GGUF file is called something.gguf`);
  const there = await stat(path).catch(() => undefined);
  if (there !== undefined && (to === 'gguf' || !there.isDirectory() || (await readdir(path)).length > 0)) throw new UsageError(`${output} is there already: choose another place`);

  const folder = await resolveModel(name);
  const tokenizer = await loadTokenizer(folder);
  await using backend = await createBackend();
  using model = await loadModel(folder, { backend, dtype: 'f32' });
  if (to === 'gguf') {
    const metadata = new Map(tokenizerToGguf(tokenizer, { vocabSize: model.config.vocabSize }));
    // Of several tokens that end a text, GGUF has room for one beside the tokenizer's own; others are known by their names.
    const { eosTokenIds } = await loadGenerationConfig(folder);
    const other = eosTokenIds.find((id) => id !== tokenizer.eosTokenId);
    if (other !== undefined) metadata.set('tokenizer.ggml.eot_token_id', { type: 'u32', value: other });
    await saveGguf(model, path, { dtype: (dtype ?? FORMATS.gguf[0]) as GgufDType, name: basename(folder, '.gguf'), metadata });
    return { path, bytes: (await stat(path)).size };
  }
  await saveTokenizer(tokenizer, path);
  await saveModel(model, path, { dtype: (dtype ?? FORMATS.safetensors[0]) as FileDType, generation: await loadGenerationConfig(folder) });
  return { path, bytes: (await stat(`${path}/model.safetensors`)).size };
}
