/** The end of a run: a model folder as Hugging Face has it, with a card that says what was measured. */
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Manifest } from '@parley/data';
import type { Transformer } from '@parley/model';
import { saveModel } from '@parley/model/node';
import type { Tokenizer } from '@parley/tokenizer';
import { saveTokenizer } from '@parley/tokenizer/node';
import { modelCard } from './card.ts';
import type { StageSummary } from './checkpoint.ts';
import type { Recipe } from './recipe.ts';

export interface ExportOptions {
  readonly model: Transformer;
  readonly tokenizer: Tokenizer;
  readonly recipe: Recipe;
  readonly manifest: Manifest;
  readonly results: readonly StageSummary[];
  /** The model folder; one that is there is replaced as a whole. */
  readonly target: string;
  /** What trained it, for the card. */
  readonly backend: string;
}

export async function exportModel(options: ExportOptions): Promise<void> {
  const { model, tokenizer, recipe, target } = options;
  const work = `${target}.${process.pid}.tmp`;
  await rm(work, { recursive: true, force: true });
  await mkdir(work, { recursive: true });
  await saveModel(model, work, { dtype: recipe.export.dtype });
  await saveTokenizer(tokenizer, work);
  await writeFile(join(work, 'generation_config.json'), `${JSON.stringify(generationConfig(options), null, 2)}\n`);
  await writeFile(join(work, 'README.md'), modelCard(options));
  await mkdir(dirname(target), { recursive: true });
  await rm(target, { recursive: true, force: true });
  await rename(work, target);
}

/** Ends at the end of a turn or a document; the recipe's own settings go over the defaults. */
function generationConfig({ tokenizer, recipe }: ExportOptions): object {
  const document = tokenizer.tokenToId('<|endoftext|>') ?? tokenizer.bosTokenId;
  const turn = tokenizer.tokenToId('<|im_end|>');
  const ends = [...new Set([tokenizer.eosTokenId, turn, document])].filter((id) => id !== undefined);
  return {
    ...(document === undefined ? {} : { bos_token_id: document, pad_token_id: document }),
    eos_token_id: ends.length === 1 ? ends[0] : ends,
    do_sample: true, temperature: 0.7, top_p: 0.9, repetition_penalty: 1.1, ...recipe.export.generation,
  };
}
