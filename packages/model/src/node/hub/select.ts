/** Which files of a model Parley needs: configuration, tokenizer, and its weights in one form. Or those that were asked for. */
import { matchesGlob } from 'node:path';
import * as z from 'zod';
import type { HubFile } from './client.ts';
import { HubError } from './errors.ts';

export const WEIGHTS_INDEX = 'model.safetensors.index.json';
const WEIGHTS = 'model.safetensors';

/** Beside the weights, at the root only. The licence goes with the model. */
const WANTED = [
  'config.json', 'generation_config.json',
  'tokenizer.json', 'tokenizer_config.json', 'special_tokens_map.json', 'added_tokens.json', 'chat_template.jinja', 'chat_template.json',
  'vocab.json', 'merges.txt', 'vocab.txt', 'tokenizer.model', 'spiece.model', 'sentencepiece.bpe.model',
  'LICENSE*', 'NOTICE*',
];

export interface Selection {
  readonly files: readonly HubFile[];
  /** The index of sharded weights, which says what else is needed: see `shardsOf`. */
  readonly index: HubFile | undefined;
}

/** The files that match one of `globs`; a glob without a slash matches in every folder. Throws HubError `file-not-found` where one matches nothing. */
export function selectGlobs(files: readonly HubFile[], globs: readonly string[], repository: string): Selection {
  const matches = (path: string, glob: string): boolean => matchesGlob(path, glob) || (!glob.includes('/') && matchesGlob(path, `**/${glob}`));
  for (const glob of globs) {
    if (files.some(({ path }) => matches(path, glob))) continue;
    const paths = files.map(({ path }) => path);
    const alike = paths.filter((path) => path.endsWith(/\.\w+$/.exec(glob)?.[0] ?? '\0'));
    throw new HubError('file-not-found', `${repository} has no file that matches ${glob}: it has ${listed(alike.length > 0 ? alike : paths)}`, { file: glob });
  }
  return { files: files.filter(({ path }) => globs.some((glob) => matches(path, glob))), index: undefined };
}

/** What loading the model needs. Throws HubError `file-not-found` where it has no weights that Parley reads, and says which it has. */
export function selectModel(files: readonly HubFile[], repository: string): Selection {
  const at = new Map(files.map((file) => [file.path, file]));
  const wanted = files.filter(({ path }) => WANTED.some((glob) => matchesGlob(path, glob)));
  const weights = at.get(WEIGHTS);
  const index = at.get(WEIGHTS_INDEX);
  if (at.has('config.json') && weights) return { files: [...wanted, weights], index: undefined };
  if (at.has('config.json') && index) return { files: [...wanted, index], index };
  const gguf = files.map(({ path }) => path).filter((path) => path.endsWith('.gguf'));
  if (gguf.length > 0) {
    throw new HubError('file-not-found', `${repository} holds GGUF files, each a whole model: choose one of ${listed(gguf)} by --file`);
  }
  if (at.has('adapter_config.json')) throw new HubError('file-not-found', `${repository} holds an adapter and no model: fetch its files by --file 'adapter_*', and the model it is for`);
  const other = files.map(({ path }) => path).filter((path) => /\.(bin|pt|pth|ckpt|h5|msgpack|onnx|safetensors)$/.test(path));
  throw new HubError('file-not-found', at.has('config.json')
    ? `${repository} has no weights in ${WEIGHTS}${other.length > 0 ? `, but ${listed(other)}: Parley reads safetensors and GGUF, so look for a conversion` : ': it is no model'}`
    : `${repository} has no config.json: it is no model that Parley reads; it has ${listed(files.map(({ path }) => path))} (--file fetches single files)`);
}

const indexSchema = z.object({ weight_map: z.record(z.string(), z.string()) });

/** The shards that an index names. Throws HubError `protocol` where it is none, or names files that the model does not have. */
export function shardsOf(text: string, files: readonly HubFile[], repository: string): HubFile[] {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw new HubError('protocol', `${WEIGHTS_INDEX} of ${repository} is not JSON: report it to the model's makers`, { file: WEIGHTS_INDEX, cause });
  }
  const parsed = indexSchema.safeParse(json);
  if (!parsed.success) throw new HubError('protocol', `${WEIGHTS_INDEX} of ${repository} names no files: report it to the model's makers`, { file: WEIGHTS_INDEX, cause: parsed.error });
  const at = new Map(files.map((file) => [file.path, file]));
  return [...new Set(Object.values(parsed.data.weight_map))].sort().map((path) => {
    const file = at.get(path);
    if (file === undefined) throw new HubError('protocol', `${WEIGHTS_INDEX} of ${repository} names ${JSON.stringify(path)}, which the model does not have: report it to the model's makers`, { file: path });
    return file;
  });
}

const listed = (paths: readonly string[]): string => `${paths.slice(0, 12).join(', ')}${paths.length > 12 ? ` and ${paths.length - 12} more` : ''}`;
