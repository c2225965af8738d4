/** The tokenizer of a run: read from where the recipe says, or trained on a sample of its sources. */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { DigestSet, type Document, emptyCounts, plainText, readSource, Screen, type Screened, type SourceSpec } from '@parley/data';
import { CHATML_TEMPLATE, PARLEY_SPECIAL_TOKENS, type Tokenizer, trainTokenizer } from '@parley/tokenizer';
import { loadTokenizer, saveTokenizer } from '@parley/tokenizer/node';
import { TrainError } from './errors.ts';
import type { TrainEvent } from './events.ts';
import type { Recipe } from './recipe.ts';

export interface VocabularyOptions {
  readonly recipe: Recipe;
  /** Where the recipe's relative paths start. */
  readonly folder: string;
  readonly specs: readonly SourceSpec[];
  /** The folder of the model the run starts from, which brings its own. */
  readonly base: string | null;
  /** The folder it is kept in. One that is there already, made by the same settings, is taken. */
  readonly target: string;
  /** Whether the run has a checkpoint: then its tokenizer is what it is. */
  readonly begun: boolean;
  readonly onEvent: (event: TrainEvent) => void;
  readonly signal?: AbortSignal | undefined;
}

/** Throws TrainError where the recipe's tokenizer does not serve it, and what reading, training and saving one throw. */
export async function prepareTokenizer(options: VocabularyOptions): Promise<Tokenizer> {
  const { recipe, base, target } = options;
  const keyFile = `${target}.key`;
  const key = settingsKey(options);
  if (existsSync(target)) {
    const made = options.begun ? key : await readFile(keyFile, 'utf8').catch(() => null);
    if (made === key) return loadTokenizer(target);
    await rm(target, { recursive: true });
  }
  const wanted = recipe.tokenizer;
  let tokenizer: Tokenizer;
  if (base !== null) {
    tokenizer = await loadTokenizer(base);
  } else if (wanted === undefined) {
    throw new TrainError('the recipe names neither a tokenizer nor a model to start from: give it tokenizer.vocab_size');
  } else if ('path' in wanted) {
    tokenizer = await loadTokenizer(resolve(options.folder, wanted.path));
  } else {
    tokenizer = await trainTokenizer(sampleTexts(options, wanted.sample_bytes), {
      vocabSize: wanted.vocab_size, pattern: wanted.pattern, specialTokens: PARLEY_SPECIAL_TOKENS, chatTemplate: CHATML_TEMPLATE,
      onProgress: ({ phase, characters, merges, totalMerges }) => options.onEvent(
        phase === 'count'
          ? { type: 'tokenizer', phase, done: Math.round(characters / 1e6), total: Math.round(wanted.sample_bytes / 1e6) }
          : { type: 'tokenizer', phase, done: merges, total: totalMerges },
      ),
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    });
  }
  if (tokenizer.chatTemplate === undefined && recipe.stages.some((stage) => stage.kind === 'finetune')) {
    throw new TrainError(
      'the tokenizer has no chat template, which fine-tuning on conversations needs: take one that has, or let the recipe train one',
    );
  }
  // A half-saved tokenizer must not be taken for a whole one.
  const work = `${target}.${process.pid}.tmp`;
  await rm(work, { recursive: true, force: true });
  await saveTokenizer(tokenizer, work);
  await writeFile(keyFile, key);
  await rename(work, target);
  return tokenizer;
}

/** Of what the vocabulary depends on, as far as the recipe says it; the files themselves are the manifest's matter. */
function settingsKey({ recipe, base, specs }: VocabularyOptions): string {
  const { clean, deduplicate, mask_personal_data: mask } = recipe.data;
  const sources = specs.map((spec) => ({ ...spec, exclude: spec.exclude?.map(String) }));
  return createHash('sha256').update(JSON.stringify({ tokenizer: recipe.tokenizer, base, clean, deduplicate, mask, sources })).digest('hex');
}

/**
 * The same share of every source's documents, chosen by their hashes, about `limit` bytes in all. Two passes over the files
 * instead of one in memory.
 */
async function* sampleTexts(options: VocabularyOptions, limit: number): AsyncGenerator<string> {
  const { signal } = options;
  let total = 0;
  for await (const { document } of allDocuments(options)) total += Buffer.byteLength(plainText(document));
  const share = Math.min(1, limit / Math.max(1, total));
  for await (const { document, digest } of allDocuments(options)) {
    signal?.throwIfAborted();
    if (digest.readUInt32BE(20) < share * 2 ** 32) yield plainText(document);
  }
}

async function* allDocuments(options: VocabularyOptions): AsyncGenerator<{ document: Document; digest: Buffer }> {
  const { deduplicate, clean, mask_personal_data: maskPersonalData } = options.recipe.data;
  const seen = deduplicate ? new DigestSet() : undefined;
  // Nobody's number becomes a token; the placeholders may.
  const mask = new Screen({ maskPersonalData });
  for (const source of options.specs) {
    const screen = (document: Document): Screened => mask.look(document, { source: source.name, heldOut: false, exceptions: source });
    yield* readSource(source, emptyCounts(), { clean, seen, screen, signal: options.signal });
  }
}

/** Bytes of text each token stands for, 0 for special tokens: what turns nats into bits per byte. */
export function tokenByteLengths(tokenizer: Tokenizer): Uint16Array {
  const special = new Set(tokenizer.specialTokens.values());
  return Uint16Array.from({ length: tokenizer.vocabSize }, (_, id) => (special.has(id) ? 0 : tokenizer.tokenBytes(id).length));
}
