/** README.md of a model: what it was trained on, how long, what came out. Only what the run itself knows. */
import type { Manifest, ManifestSource } from '@parley/data';
import { type FamilyName, parameterCount, type Transformer } from '@parley/model';
import { endsInAdapter, loraOptions, recipeLora } from './adapter.ts';
import type { StageSummary } from './checkpoint.ts';
import type { Derived } from './dial.ts';
import type { Recipe } from './recipe.ts';

const FAMILIES: Readonly<Record<FamilyName, string>> = {
  gpt2: 'GPT-2', llama: 'Llama', mistral: 'Mistral', qwen2: 'Qwen2', qwen3: 'Qwen3', gemma: 'Gemma', gemma3_text: 'Gemma 3', bert: 'BERT',
};

export interface CardOptions {
  readonly model: Transformer;
  readonly recipe: Recipe;
  readonly manifest: Manifest;
  readonly results: readonly StageSummary[];
  /** What the recipe left open. */
  readonly derived?: Derived;
  readonly backend: string;
}

export function modelCard({ model, recipe, manifest, results, derived, backend }: CardOptions): string {
  const { config } = model;
  const heads = config.keyValueHeads === config.heads ? `${config.heads} heads` : `${config.heads} heads (${config.keyValueHeads} for keys and values)`;
  const used = new Set(results.flatMap((result) => Object.keys(result.epochs)));
  return `---
library_name: parley
pipeline_tag: text-generation
${baseText(recipe)}${recipe.licence === undefined ? '' : `license: ${recipe.licence}\n`}---

# ${recipe.title ?? recipe.name}

${recipe.description ?? 'A language model trained with Parley.'}

| | |
|---|---|
| parameters | ${number(parameterCount(config))} |
| architecture | ${FAMILIES[config.family]} style: ${config.layers} layers, width ${config.hiddenSize}, ${heads}, MLP ${config.intermediateSize} |
| vocabulary | ${number(config.vocabSize)} tokens, byte-level BPE |
| context | ${number(config.contextLength)} tokens |
| weights | ${recipe.export.dtype} |
${adapterRow(recipe)}
## Training

| stage | steps | tokens | context | held-out loss | held-out bits per byte |
|---|---|---|---|---|---|
${results.map((result) => `| ${result.stage} (${result.kind}) | ${number(result.steps)} | ${number(result.tokens)} | ${result.contextLength} | ${fixed(result.loss)} | ${fixed(result.bitsPerByte)} |`).join('\n')}

Loss is in nats per token. Bits per byte are the bits of all predicted tokens (ends of turns and documents included) over the
bytes of text; in a fine-tuning stage only what the assistant says is counted. Held out: ${(manifest.heldOut * 100).toFixed(2)} % of the
documents, chosen by hash. Trained with Parley on ${backend}, seed ${recipe.seed}.${skippedText(results)}
${derivedText(derived)}
## Data

| source | licence | documents | tokens | passes | held-out bits per byte |
|---|---|---|---|---|---|
${manifest.sources.filter(({ name }) => used.has(name)).map((source) => sourceRow(source, results)).join('\n')}

${manifest.sources.filter(({ attribution }) => attribution !== undefined).map(({ name, attribution }) => `- ${name}: ${attribution}`).join('\n')}
`;
}

/** Hugging Face's name for what an adapter stands beside, where it is a name. */
function baseText(recipe: Recipe): string {
  const from = typeof recipe.model === 'object' ? recipe.model.from : undefined;
  return from === undefined || /^[./]/.test(from) ? '' : `base_model: ${from}\n`;
}

function adapterRow(recipe: Recipe): string {
  const lora = recipeLora(recipe);
  if (lora === undefined) return '';
  const { rank, alpha, dropout, targets } = loraOptions(lora);
  const what = endsInAdapter(recipe) ? 'these files are the adapter alone' : 'added to the weights';
  return `| adapter | LoRA of rank ${rank}, alpha ${alpha}, dropout ${dropout}, on ${targets?.join(', ') ?? 'all linear layers'}: ${what} |\n`;
}

function skippedText(results: readonly StageSummary[]): string {
  const skipped = results.reduce((sum, result) => sum + (result.skipped ?? 0), 0);
  return skipped === 0 ? '' : ` ${number(skipped)} ${skipped === 1 ? 'step was' : 'steps were'} left out as spikes.`;
}

/** The recipe's numbers that Parley chose, each with its reason. */
function derivedText(derived: Derived | undefined): string {
  if (derived === undefined) return '';
  const all = [['model', derived.model], ...Object.entries(derived.stages)] as const;
  const rows = all.flatMap(([of, list]) => list.map(({ what, value, why }) => `| ${of} | ${what} | ${value} | ${why} |`));
  return rows.length === 0 ? '' : `\n| derived of | what | value | because |\n|---|---|---|---|\n${rows.join('\n')}\n`;
}

function sourceRow(source: ManifestSource, results: readonly StageSummary[]): string {
  const { train } = source.splits;
  const passes = results.filter(({ epochs }) => source.name in epochs).map(({ stage, epochs }) => `${epochs[source.name]} (${stage})`);
  const measured = results.filter(({ sources }) => source.name in sources).map(({ stage, sources }) => `${fixed(sources[source.name]?.bits_per_byte ?? null)} (${stage})`);
  return `| ${source.name} | ${source.licence ?? 'not stated'} | ${number(train.documents)} | ${number(train.tokens)} | ${passes.join(', ')} | ${measured.join(', ')} |`;
}

const number = (value: number): string => value.toLocaleString('en');
const fixed = (value: number | null): string => (value === null ? '–' : value.toFixed(3));
