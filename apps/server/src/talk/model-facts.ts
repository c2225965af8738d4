/** What people are told of a model that has not been opened. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { resolveModel } from '@parley/model/node';

/** `parley-mini` → `Parley mini`, `./runs/x/model` → `Model`, `owner/name` → `Name`. */
export function modelTitle(id: string): string {
  const name = id.split(/[\\/]/).findLast((part) => part !== '' && part !== '.') ?? id;
  const words = name.replaceAll(/[-_]+/g, ' ').trim();
  return words.slice(0, 1).toUpperCase() + words.slice(1);
}

const known = new Map<string, Promise<number | null>>();

/** Tokens, as its config.json says; null where there is none (a GGUF file, a model elsewhere) or it does not say. */
export function contextLengthOf(id: string): Promise<number | null> {
  const length = known.get(id) ?? readContextLength(id);
  known.set(id, length);
  // A model that is not here may come, and names of none are not collected.
  void length.then((value) => value === null && known.get(id) === length && known.delete(id));
  return length;
}

async function readContextLength(id: string): Promise<number | null> {
  try {
    const config = JSON.parse(await readFile(join(await resolveModel(id), 'config.json'), 'utf8')) as Record<string, unknown>;
    const value = config.max_position_embeddings ?? config.n_positions;
    return typeof value === 'number' ? value : null;
  } catch {
    return null;
  }
}
