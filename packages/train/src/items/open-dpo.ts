/** A run on preferences: pairs of answers, what the model said of them at first, and the model's or adapter's folder at the end. */
import { join } from 'node:path';
import { loadModel } from '@parley/model/node';
import { baseDType, beginStage, recipeAdapter } from '../adapter.ts';
import type { StageSummary } from '../checkpoint.ts';
import { exportFolder } from '../export.ts';
import { sourceSpecs } from '../plan.ts';
import type { Recipe } from '../recipe.ts';
import { DpoObjective, referenceProbabilities } from './dpo.ts';
import { type PreferenceData, readPreferences } from './preferences.ts';
import type { OpenItems, OpenItemsOptions } from './run.ts';

/** The paper's, for dialogue. */
const DEFAULT_BETA = 0.1;
const RATE = { value: 2e-5, why: 'a tenth and less of fine-tuning\'s: preferences move a model that speaks already' };
const LORA_RATE = { value: 2e-4, why: 'ten times what training all weights takes (Schulman et al., 2025)' };

/** Throws TrainError, DataError and what loading a model throws. */
export async function openDpo(options: OpenItemsOptions): Promise<OpenItems> {
  const { recipe, folder, stage, backend, base, output, data: dataOptions, microTokens } = options;
  const named = new Set(stage.data?.map((item) => (typeof item === 'string' ? item : item.source)) ?? recipe.data.sources.map(({ name }) => name));
  const data = await readPreferences(sourceSpecs(recipe, folder).filter(({ name }) => named.has(name)), dataOptions);
  using open = new DisposableStack();
  const model = open.use(await loadModel(base, { backend, dtype: baseDType(recipe) }));
  // Before an adapter is on it, and before a checkpoint's weights are.
  const reference = await referenceProbabilities(model, data, { file: join(output, 'reference.json'), microTokens });
  const adapter = recipeAdapter(recipe, model);
  if (adapter !== null) open.use(adapter);
  const parameters = beginStage(model, adapter, { recipe, index: 0 });
  const objective = open.use(new DpoObjective({
    model, train: data.train, heldOut: data.heldOut, reference, beta: stage.beta ?? DEFAULT_BETA, smoothing: stage.label_smoothing ?? 0, microTokens,
  }));
  const kept = open.move();
  return {
    objective, parameters, key: data.key, notes: data.notes, parameterCount: model.parameterCount,
    tokens: data.train.reduce((sum, { chosen, rejected }) => sum + chosen.ids.length + rejected.ids.length - 2, 0),
    learningRate: adapter === null ? RATE : LORA_RATE,
    export: (target, { summary, engine }) => exportFolder({
      model, adapter, base, tokenizer: dataOptions.tokenizer, recipe, target, card: preferenceCard({ recipe, data, summary, engine, beta: stage.beta ?? DEFAULT_BETA }),
    }),
    [Symbol.dispose]: () => kept.dispose(),
  };
}

function preferenceCard(args: { recipe: Recipe; data: PreferenceData; summary: StageSummary; engine: string; beta: number }): string {
  const { recipe, data, summary, engine, beta } = args;
  const { scores = {} } = summary;
  const from = typeof recipe.model === 'object' ? (recipe.model.from ?? '') : '';
  const measured = summary.loss === null ? 'Nothing was held out to measure on.'
    : `Of ${data.heldOut.length.toLocaleString('en')} held-out pairs the preferred answer gained more than the other in ${(100 * (scores['accuracy'] ?? 0)).toFixed(1)} %, ` +
      `by ${(scores['margin'] ?? 0).toFixed(3)} on average (in units of beta · nats); loss ${summary.loss.toFixed(3)}, where ${Math.LN2.toFixed(3)} is that of the model it started from.`;
  return `---
library_name: parley
pipeline_tag: text-generation
${from === '' || /^[./]/.test(from) ? '' : `base_model: ${from}\n`}${recipe.licence === undefined ? '' : `license: ${recipe.licence}\n`}---

# ${recipe.title ?? recipe.name}

${recipe.description ?? 'A language model aligned with Parley.'}

Trained on preferences (DPO, beta ${beta}) from ${from}: ${data.train.length.toLocaleString('en')} pairs, ${summary.steps.toLocaleString('en')} steps, ${summary.epochs['items'] ?? 0} passes.
${measured}
Trained with Parley on ${engine}, seed ${recipe.seed}.

${recipe.data.sources.map(({ name, licence, attribution }) => `- ${name}: ${licence ?? 'licence not stated'}${attribution === undefined ? '' : `, ${attribution}`}`).join('\n')}
`;
}
