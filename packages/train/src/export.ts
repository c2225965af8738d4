/** The end of a run: a model folder as Hugging Face has it, with a card that says what was measured. */
import { mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Manifest } from '@parley/data';
import type { GenerationConfig, LoraAdapter, Transformer } from '@parley/model';
import { loadModel, saveAdapter, saveModel } from '@parley/model/node';
import type { Tokenizer } from '@parley/tokenizer';
import { saveTokenizer } from '@parley/tokenizer/node';
import { baseDType, endsInAdapter } from './adapter.ts';
import { modelCard } from './card.ts';
import type { StageSummary } from './checkpoint.ts';
import { TrainError } from './errors.ts';
import type { Recipe } from './recipe.ts';
import type { Derived } from './dial.ts';

export interface ExportOptions extends Omit<FolderOptions, 'card'> {
  readonly manifest: Manifest;
  readonly results: readonly StageSummary[];
  readonly derived: Derived;
  /** What trained it, for the card. */
  readonly backend: string;
}

export interface FolderOptions {
  readonly model: Transformer;
  /** What LoRA stages have trained: written in place of the model, or, where the recipe merges, into its weights. */
  readonly adapter?: LoraAdapter | null | undefined;
  /** The folder of the model it stands beside. */
  readonly base?: string | null | undefined;
  readonly tokenizer: Tokenizer;
  readonly recipe: Recipe;
  /** README.md. */
  readonly card: string;
  /** The model folder; one that is there is replaced as a whole. */
  readonly target: string;
}

/** What a model replaces is a model, never somebody's files. Throws TrainError. */
export async function refuseForeignTarget(target: string): Promise<void> {
  const names = await readdir(target).catch((error: NodeJS.ErrnoException): string[] => {
    if (error.code === 'ENOENT') return [];
    throw new TrainError(`the model cannot be written to ${target}: choose another folder`, { cause: error });
  });
  if (names.length === 0 || (['config.json', 'adapter_config.json'].some((config) => names.includes(config)) && names.some((name) => name.endsWith('.safetensors')))) return;
  throw new TrainError(`${target} holds ${names[0]} and is no model, and the model would replace the whole folder: choose another`);
}

/** A model of texts and conversations, with the card that belongs to it. Throws what saving a model throws. */
export async function exportModel(options: ExportOptions): Promise<void> {
  await exportFolder({ ...options, card: modelCard(options) });
}

/** The model, or the adapter beside it, as a folder. */
export async function exportFolder(options: FolderOptions): Promise<void> {
  const { model, tokenizer, recipe } = options;
  await replaceFolder(options.target, async (work) => {
    if (options.adapter && endsInAdapter(recipe)) {
      const baseModel = typeof recipe.model === 'object' ? (recipe.model.from ?? null) : null;
      await saveAdapter(options.adapter, work, { config: model.config, baseModel, dtype: recipe.export.dtype });
    } else {
      await saveMerged(options, work);
      await saveTokenizer(tokenizer, work);
    }
    await writeFile(join(work, 'README.md'), options.card);
  });
}

/** Has `fill` write a folder beside its place and renames it: it appears whole or not at all. */
export async function replaceFolder(target: string, fill: (work: string) => Promise<void>): Promise<void> {
  const work = `${target}.${process.pid}.tmp`;
  await rm(work, { recursive: true, force: true });
  await mkdir(work, { recursive: true });
  try {
    await fill(work);
    await mkdir(dirname(target), { recursive: true });
    await rm(target, { recursive: true, force: true });
    await rename(work, target);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** The model with what its adapter adds in its weights. A base that was held in fewer bits is read again as it was. */
async function saveMerged(options: FolderOptions, folder: string): Promise<void> {
  const { model, adapter, base, recipe } = options;
  const save = (whole: Transformer): Promise<void> =>
    saveModel(whole, folder, { dtype: recipe.export.dtype, generation: generationConfig(options) });
  if (!adapter) return save(model);
  model.setAdapters([]);
  if (baseDType(recipe) === 'f32') {
    model.mergeAdapter({ adapter });
    return save(model);
  }
  using whole = await loadModel(base ?? '', { backend: model.backend, dtype: 'f32' });
  whole.mergeAdapter({ adapter });
  await save(whole);
}

/** Ends at the end of a turn or a document; the recipe's own settings go over the defaults. */
function generationConfig({ tokenizer, recipe }: FolderOptions): GenerationConfig {
  const document = tokenizer.tokenToId('<|endoftext|>') ?? tokenizer.bosTokenId;
  const turn = tokenizer.tokenToId('<|im_end|>');
  const ends = [...new Set([tokenizer.eosTokenId, turn, document])].filter((id) => id !== undefined);
  return {
    bosTokenId: document, eosTokenIds: ends, padTokenId: document,
    defaults: { do_sample: true, temperature: 0.7, top_p: 0.9, repetition_penalty: 1.1, ...recipe.export.generation },
  };
}
