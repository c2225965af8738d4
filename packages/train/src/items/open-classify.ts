/** A classifier's run: labelled texts, a head on the model's body, and the folder with its card at the end. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Random, type Tensor } from '@parley/engine';
import { LoraAdapter, SequenceClassifier } from '@parley/model';
import { loadLabels, loadModel, saveClassifier } from '@parley/model/node';
import { saveTokenizer } from '@parley/tokenizer/node';
import { loraOptions } from '../adapter.ts';
import type { StageSummary } from '../checkpoint.ts';
import { trainBagOfWords } from '../evaluation/baselines.ts';
import { accuracy, macroF1 } from '../evaluation/classification.ts';
import { replaceFolder } from '../export.ts';
import { sourceSpecs } from '../plan.ts';
import type { Recipe } from '../recipe.ts';
import { ClassifyObjective, classWeights } from './classify.ts';
import { type LabelledData, readLabelled } from './labelled.ts';
import type { OpenItems, OpenItemsOptions } from './run.ts';

/** Of a whole small model, and of an adapter (see dial.ts). */
const RATE = { value: 6e-4, why: 'served a model of five million weights and a fresh head (docs/decisions.md)' };
const LORA_RATE = { value: 3e-3, why: 'an adapter\'s matrices are small and begin at zero, and take larger steps than whole ones' };

/** Throws TrainError, DataError and what loading a model throws. */
export async function openClassify(options: OpenItemsOptions): Promise<OpenItems> {
  const { recipe, folder, stage, backend, base, data: dataOptions } = options;
  const named = new Set(stage.data?.map((item) => (typeof item === 'string' ? item : item.source)) ?? recipe.data.sources.map(({ name }) => name));
  const specs = sourceSpecs(recipe, folder).filter(({ name }) => named.has(name)).map((spec) => {
    const label = recipe.data.sources.find(({ name }) => name === spec.name)?.label ?? '{label}';
    const { text = '{text}', ...rest } = spec;
    // What is held out goes by the text, whatever it is labelled.
    return { ...rest, text: undefined, prompt: [text], completion: [label], heldOutBy: spec.heldOutBy ?? text };
  });
  const data = await readLabelled(specs, dataOptions);
  const weights = classWeights(stage.class_weights, data);
  using open = new DisposableStack();
  const body = open.use(await loadModel(base, { backend, body: true }));
  const known = await loadLabels(base);
  const classifier = open.use(SequenceClassifier.initialize(body, data.labels, new Random(recipe.seed + 2 ** 41)));
  const notes = [...data.notes, `${data.labels.length} labels: ${data.labels.slice(0, 8).join(', ')}${data.labels.length > 8 ? ', …' : ''}`];
  if (known !== null) notes.push('the model to start from is a classifier: its body is taken, and its head made anew');

  let adapter: LoraAdapter | null = null;
  let trained: ReadonlyMap<string, Tensor> = classifier.parameters;
  if (stage.lora !== undefined) {
    adapter = open.use(LoraAdapter.initialize(backend, body.config, { ...loraOptions(stage.lora), random: new Random(recipe.seed + 2 ** 40) }));
    body.freeze();
    adapter.trainable = true;
    body.setAdapters([{ adapter }]);
    trained = new Map([...adapter.parameters, ['score.weight', classifier.score]]);
  }
  const objective = open.use(new ClassifyObjective({
    classifier, train: data.train, heldOut: data.heldOut, weights, smoothing: stage.label_smoothing ?? 0, microTokens: options.microTokens,
  }));
  const parameterCount = [...classifier.parameters.values()].reduce((sum, { size }) => sum + size, 0);
  const kept = open.move();
  return {
    objective, parameters: { trained, kept: trained }, key: data.key, notes,
    parameterCount,
    tokens: data.train.reduce((sum, { ids }) => sum + ids.length, 0),
    learningRate: adapter === null ? RATE : LORA_RATE,
    async export(target, { summary, engine }) {
      if (adapter !== null) {
        body.setAdapters([]);
        body.mergeAdapter({ adapter });
      }
      await replaceFolder(target, async (work) => {
        const { tokenizer } = dataOptions;
        await saveClassifier(classifier, work, {
          dtype: recipe.export.dtype, generation: { padTokenId: tokenizer.padTokenId ?? tokenizer.bosTokenId, bosTokenId: tokenizer.bosTokenId, eosTokenIds: [] },
        });
        await saveTokenizer(tokenizer, work);
        await writeFile(join(work, 'README.md'), classifierCard({ recipe, data, summary, engine, parameters: parameterCount }));
      });
    },
    [Symbol.dispose]: () => kept.dispose(),
  };
}

/** What a linear classifier over bags of words, learned from the same texts, says of the same held-out ones. */
export function bagOfWordsScores({ labels, train, heldOut }: LabelledData): { accuracy: number; macro_f1: number } {
  const classify = trainBagOfWords(train, { labels: labels.length, seed: 1 });
  const labelled = { gold: Int32Array.from(heldOut, ({ label }) => label), predicted: Int32Array.from(heldOut, ({ text }) => classify(text)), labels: labels.length };
  return { accuracy: accuracy(labelled), macro_f1: macroF1(labelled) };
}

function classifierCard(args: { recipe: Recipe; data: LabelledData; summary: StageSummary; engine: string; parameters: number }): string {
  const { recipe, data, summary, engine, parameters } = args;
  const percent = (value: number | undefined): string => (value === undefined ? '–' : `${(100 * value).toFixed(1)} %`);
  const baseline = data.heldOut.length > 0 ? bagOfWordsScores(data) : undefined;
  const from = typeof recipe.model === 'object' ? (recipe.model.from ?? '') : '';
  return `---
library_name: parley
pipeline_tag: text-classification
${/^[./]/.test(from) ? '' : `base_model: ${from}\n`}${recipe.licence === undefined ? '' : `license: ${recipe.licence}\n`}---

# ${recipe.title ?? recipe.name}

${recipe.description ?? 'A classifier trained with Parley.'}

| ${data.heldOut.length.toLocaleString('en')} held-out texts | accuracy | macro F1 |
|---|---|---|
| this model | ${percent(summary.scores?.['accuracy'])} | ${percent(summary.scores?.['macro_f1'])} |
| bag of words, linear | ${percent(baseline?.accuracy)} | ${percent(baseline?.macro_f1)} |

${data.train.length.toLocaleString('en')} texts to train on, ${data.labels.length} labels, ${summary.steps.toLocaleString('en')} steps, ${summary.epochs['items'] ?? 0} passes, from
${from === '' ? 'a model' : from}; ${parameters.toLocaleString('en')} parameters in ${recipe.export.dtype}. Held out by the text's hash${recipe.stages[0]?.best_by === undefined && recipe.stages[0]?.early_stopping === undefined ? '' : '; the weights kept are those of the best measurement on them, so the figures flatter a little'}.
Trained with Parley on ${engine}, seed ${recipe.seed}.

${recipe.data.sources.map(({ name, licence, attribution }) => `- ${name}: ${licence ?? 'licence not stated'}${attribution === undefined ? '' : `, ${attribution}`}`).join('\n')}

Labels: ${data.labels.join(', ')}.
`;
}
