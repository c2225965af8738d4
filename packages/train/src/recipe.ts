/**
 * Recipes: one YAML file says everything about a trained model. This is its schema; what the fields do is said in
 * recipes/your-own.yaml. Amounts may be written 250k, 5M, 20MB. Paths are relative to the recipe.
 */
import { CLEAN_STEPS, FULL_CLEANING, LANGUAGES, PERSONAL_DATA_KINDS, QUALITY_RULES, type QualityRule } from '@parley/data';
import { nearestName } from '@parley/model';
import { LineCounter, parseDocument } from 'yaml';
import { z } from 'zod';
import { crossCheckLora } from './adapter.ts';
import { RecipeError } from './errors.ts';
import { crossCheckItems } from './items/check.ts';

/** `model.size` is layers up to here, and weights from there. */
export const MOST_LAYERS = 200;
const LEAST_WEIGHTS = 100e3;

const SCALES: Readonly<Record<string, number>> = { '': 1, k: 1e3, m: 1e6, g: 1e9, b: 1e9 };

/** 1000, "250k", "5M", "2B" (10⁹), "20 MB". */
const amount = z.union([
  z.number(),
  z.string().regex(/^\d+(?:\.\d+)?\s*[kmgb]?b?$/i, 'has to be an amount, such as 4096, 250k, 5M or 20MB').transform((text) => {
    const [, digits = '', unit = ''] = /^([\d.]+)\s*(.*)$/.exec(text.toLowerCase()) ?? [];
    return Number(digits) * (SCALES[unit.length > 1 ? unit.replace(/b$/, '') : unit] ?? 1);
  }),
]).pipe(z.number().positive());
const whole = amount.pipe(z.number().int());
const share = z.number().min(0).max(1);
const name = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]*$/, 'may have letters, digits, dots and dashes: it names files');
const strings = z.union([z.string().transform((text) => [text]), z.array(z.string()).min(1)]);

/** `{ few_words: 20, links: off }`: other thresholds than the default ones. */
const qualityRules = z.strictObject(Object.fromEntries(
  Object.keys(QUALITY_RULES).map((rule) => [rule, z.union([z.number().min(0), z.string().regex(/^off$/, 'has to be a threshold, or off').transform(() => null)]).optional()]),
) as Record<QualityRule, z.ZodOptional<z.ZodUnion<readonly [z.ZodNumber, z.ZodPipe<z.ZodString, z.ZodTransform<null, string>>]>>>);

const source = z.strictObject({
  name,
  path: strings,
  licence: z.string().optional(),
  attribution: z.string().optional(),
  text: z.string().optional(),
  /** One wording or several; each item gets one. */
  prompt: strings.optional(),
  completion: strings.optional(),
  system: z.string().optional(),
  /** For classification: a template of the item's label. */
  label: z.string().optional(),
  /** Only items with these values in these fields. */
  where: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])).optional(),
  /** Other words for the values of a field: `{ label: { '0': negative } }`. */
  map: z.record(z.string(), z.record(z.string(), z.string())).optional(),
  /** A template of what decides about being held out, so that all that is made of one thing goes one way. */
  held_out_by: z.string().optional(),
  convert: z.enum(['simplified']).optional(),
  only: z.enum(['texts', 'conversations']).optional(),
  dialogue: z.boolean().optional(),
  split_characters: whole.optional(),
  min_characters: whole.optional(),
  max_characters: whole.optional(),
  cut_characters: whole.optional(),
  max_turn_characters: whole.optional(),
  max_documents: whole.optional(),
  held_out: share.optional(),
  exclude: strings.optional(),
  /** For tables: names of the columns where the first row has none; whether double quotes quote. */
  columns: z.array(z.string()).min(1).optional(),
  quotes: z.boolean().optional(),
  /** Leave this source out of what the data section asks for. */
  near_duplicates: z.literal(false).optional(),
  mask_personal_data: z.literal(false).optional(),
  /** Steps besides the light ones, or all of them that suit any text. */
  clean: z.union([
    z.string().regex(/^full$/, `has to be full, or a list of ${CLEAN_STEPS.join(', ')}`).transform(() => [...FULL_CLEANING]),
    z.array(z.enum(CLEAN_STEPS)).min(1),
  ]).optional(),
  /** Lines in more than so many documents are the frame of pages, and removed. */
  shared_lines: whole.optional(),
  languages: z.array(z.enum(LANGUAGES)).min(1).optional(),
  quality: z.union([
    z.string().regex(/^(?:default|off)$/, 'has to be default, off, or thresholds such as { few_words: 20, links: off }')
      .transform((text) => (text === 'off' ? undefined : {})),
    qualityRules,
  ]).optional(),
}).refine((value) => (value.prompt === undefined) === (value.completion === undefined), {
  message: 'has only one of prompt and completion: a conversation made by templates needs both',
}).refine(({ prompt = [], completion = [] }) => completion.length <= 1 || completion.length === prompt.length, {
  message: 'has several completions, but not one for each prompt: give one, or as many as there are prompts',
});

const tokenizer = z.union([
  z.strictObject({ path: z.string() }),
  z.strictObject({
    vocab_size: whole.pipe(z.number().min(260, 'has to be at least 260: 256 bytes, three special tokens, and a merge')),
    pattern: z.enum(['gpt2', 'gpt4']).default('gpt4'),
    /** How much text the vocabulary is learned from, spread over the sources. */
    sample_bytes: amount.default(50e6),
  }),
]);

const modelFields = z.strictObject({
  preset: z.string().optional(),
  /** One dial (dial.ts): a number of layers up to 200, or weights in all, from 100k. */
  size: whole.refine((value) => value <= MOST_LAYERS || value >= LEAST_WEIGHTS, {
    message: `has to be a number of layers up to ${MOST_LAYERS}, or of weights from 100k, such as 12M`,
  }).optional(),
  family: z.enum(['gpt2', 'llama']).optional(),
  hidden_size: whole.optional(),
  layers: whole.optional(),
  heads: whole.optional(),
  key_value_heads: whole.optional(),
  head_size: whole.optional(),
  intermediate_size: whole.optional(),
  context_length: whole.optional(),
  rope_theta: z.number().positive().optional(),
  tie_embeddings: z.boolean().optional(),
  /** Start from a model (a folder, or a name as in parley chat --model) instead of fresh weights; then nothing else here. */
  from: z.string().optional(),
});

const mixture = z.array(z.strictObject({
  source: z.string(),
  /** Share of the stage's tokens, on any scale. */
  weight: z.number().positive().optional(),
  /** Times the source is gone through for one epoch of the stage; instead of a weight. */
  epochs: z.number().positive().optional(),
  /** What the loss of each of its learned tokens weighs beside the others' (1): more for a label than for a word of a story. */
  loss_weight: z.number().positive().optional(),
})).min(1);

/** Train an adapter beside the frozen weights (adapter.ts). */
const lora = z.strictObject({
  rank: whole.default(8),
  /** Default: twice the rank. */
  alpha: z.number().positive().optional(),
  dropout: z.number().min(0).lt(1).default(0),
  /** Linear layers by the last parts of their names. Default: all of attention and MLP. */
  targets: strings.optional(),
  rank_stabilized: z.boolean().default(false),
  /** How the frozen weights are held. */
  base_dtype: z.enum(['f32', 'q8', 'q4']).default('f32'),
});

const stage = z.strictObject({
  name,
  /** pretrain, finetune: of texts and conversations. classify, dpo: of items (items/), a recipe of their own. */
  kind: z.enum(['pretrain', 'finetune', 'classify', 'dpo']),
  data: z.union([mixture, z.array(z.string()).min(1)]).optional(),
  steps: whole.optional(),
  tokens: whole.optional(),
  epochs: z.number().positive().optional(),
  minutes: z.number().positive().optional(),
  /** With minutes: stop earlier once the data has been gone through so many times. */
  max_epochs: z.number().positive().optional(),
  /** What is left out of length, batch_tokens, learning_rate, warmup, weight_decay and optimizer is derived: see dial.ts. */
  batch_tokens: whole.optional(),
  micro_batch_tokens: whole.optional(),
  context: whole.optional(),
  /** What is learned of conversations: everything, or what the assistant says. Default: by kind. */
  loss: z.enum(['all', 'assistant']).optional(),
  long_conversations: z.enum(['cut', 'split', 'drop']).default('split'),
  optimizer: z.enum(['adamw', 'muon']).optional(),
  learning_rate: z.number().positive().optional(),
  schedule: z.enum(['cosine', 'wsd', 'constant']).default('cosine'),
  /** Steps of warm-up; below 1, the share of all steps. */
  warmup: z.number().min(0).optional(),
  final_learning_rate: share.default(0.1),
  decay_share: share.default(0.2),
  weight_decay: z.number().min(0).optional(),
  beta1: share.default(0.9),
  beta2: share.default(0.95),
  epsilon: z.number().positive().default(1e-8),
  clip: z.number().positive().default(1),
  /** Muon's: its momentum, and its learning rate in units of learning_rate. */
  momentum: share.optional(),
  matrix_rate: z.number().positive().optional(),
  /** Weight of log²Z beside the loss, 0.0001 in PaLM. */
  z_loss: z.number().min(0).optional(),
  /** Share of each target that is spread over the vocabulary. */
  label_smoothing: z.number().min(0).lt(1).optional(),
  /** Steps whose loss or gradient norm is so many spreads above the usual are left out; false: only those that are no number. */
  skip_spikes: z.union([z.literal(false), z.number().positive()]).optional(),
  lora: lora.optional(),
  /** classify, dpo: items (texts, or pairs of answers) of a step. */
  batch_items: whole.optional(),
  /** classify: what each label's loss weighs; balanced: as much as the others'. */
  class_weights: z.union([z.literal('balanced'), z.record(z.string(), z.number().positive())]).optional(),
  /** classify, dpo: keep the weights of the best measurement by this figure, not the last ones. */
  best_by: z.enum(['accuracy', 'macro_f1', 'loss']).optional(),
  /** End after so many measurements that were not the best. */
  early_stopping: whole.optional(),
  /** dpo: how far the model may go from where it began; small is far. */
  beta: z.number().positive().optional(),
  eval_every: whole.default(200),
  eval_tokens: whole.default(32_768),
  sample_every: whole.optional(),
  samples: z.array(z.union([z.string(), z.strictObject({ user: z.string() })])).default([]),
  checkpoint_every: whole.default(200),
  keep_checkpoints: whole.default(2),
  seed: z.number().int().optional(),
}).refine((value) => [value.steps, value.tokens, value.epochs, value.minutes].filter((given) => given !== undefined).length <= 1, {
  message: 'has to say how long it is with at most one of steps, tokens, epochs and minutes',
});

const recipe = z.strictObject({
  name,
  title: z.string().optional(),
  description: z.string().optional(),
  licence: z.string().optional(),
  seed: z.number().int().default(1),
  tokenizer: tokenizer.optional(),
  data: z.strictObject({
    held_out: share.default(0.01),
    deduplicate: z.boolean().default(true),
    clean: z.boolean().default(true),
    /** Drop documents that are nearly the same as an earlier one; threshold: how much has to be the same, 0.3 to 1. */
    near_duplicates: z.union([z.boolean(), z.strictObject({ threshold: z.number().min(0.3).max(1).optional() })]).optional(),
    /** Placeholders for personal data: of all kinds, or of these. */
    mask_personal_data: z.union([
      z.boolean(),
      z.array(z.enum(PERSONAL_DATA_KINDS)).min(1),
      z.strictObject({ kinds: z.array(z.enum(PERSONAL_DATA_KINDS)).min(1).optional(), placeholders: z.partialRecord(z.enum(PERSONAL_DATA_KINDS), z.string()).optional() }),
    ]).optional(),
    /** Suites (.yaml) and JSON lines whose items are not to be trained on. */
    decontaminate: z.union([strings, z.strictObject({ against: strings, share: z.number().positive().max(1).optional(), cut: z.boolean().optional() })]).optional(),
    sources: z.array(source).min(1),
  }),
  model: z.union([z.string(), modelFields]),
  stages: z.array(stage).min(1),
  output: z.string().optional(),
  export: z.strictObject({
    path: z.string().optional(),
    dtype: z.enum(['f32', 'f16', 'bf16']).default('bf16'),
    generation: z.record(z.string(), z.union([z.number(), z.boolean()])).optional(),
    /** Of runs with LoRA: write a model with the adapter in its weights, not the adapter. */
    merge: z.boolean().default(false),
  }).prefault({}),
});

export type Recipe = z.output<typeof recipe>;
export type RecipeInput = z.input<typeof recipe>;
export type RecipeStage = Recipe['stages'][number];
export type RecipeSource = Recipe['data']['sources'][number];

/** Checks a recipe given as YAML text. `path` is for the errors. Throws RecipeError naming every problem. */
export function parseRecipe(text: string, path = 'recipe'): Recipe {
  const { value, where } = readYaml(text, path);
  if (typeof value === 'object' && value !== null && 'extends' in value) {
    throw new RecipeError(path, [`${where(['extends'])}extends is followed from a file to a file: read this recipe from its file`]);
  }
  return checkRecipe(value, path, where);
}

/** `where`: the line that a field stands in, as a problem's beginning; '' where the text has no such field. */
export function readYaml(text: string, path: string): { readonly value: unknown; readonly where: (keys: readonly PropertyKey[]) => string } {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines });
  if (document.errors.length > 0) throw new RecipeError(path, document.errors.map((error) => error.message.split('\n')[0] ?? error.message));
  const where = (keys: readonly PropertyKey[]): string => {
    const node: unknown = document.getIn(keys, true);
    const range = typeof node === 'object' && node !== null && 'range' in node ? (node.range as [number] | null) : null;
    return range ? `line ${lines.linePos(range[0]).line}, ` : '';
  };
  return { value: document.toJS() as unknown, where };
}

/** Checks a recipe given as an object. Throws RecipeError. */
export function checkRecipe(value: unknown, path = 'recipe', where: (keys: readonly PropertyKey[]) => string = () => ''): Recipe {
  const parsed = recipe.safeParse(value, { reportInput: true });
  if (!parsed.success) {
    throw new RecipeError(path, parsed.error.issues.flatMap((issue) => flatten(issue)).map((issue) => where(issue.path) + explain(issue, value)));
  }
  const problems = crossCheck(parsed.data);
  if (problems.length > 0) throw new RecipeError(path, problems);
  return parsed.data;
}

type Issue = z.core.$ZodIssue;

/** Of a union, the branch that got furthest is the one the author meant. */
function flatten(issue: Issue): Issue[] {
  if (issue.code !== 'invalid_union') return [issue];
  const branches = issue.errors.filter((branch) => branch.length > 0);
  const objects = branches.filter((branch) => branch.every((inner) => inner.path.length > 0 || inner.code === 'unrecognized_keys'));
  const [best] = (objects.length > 0 ? objects : branches).toSorted((a, b) => a.length - b.length);
  if (best === undefined || (objects.length === 0 && branches.length > 1)) return [{ ...issue, message: unionMessage(branches) }];
  return best.flatMap((inner) => flatten({ ...inner, path: [...issue.path, ...inner.path] }));
}

function unionMessage(branches: readonly (readonly Issue[])[]): string {
  const custom = branches.flat().find((inner) => inner.code === 'invalid_format');
  if (custom !== undefined) return custom.message;
  const expected = branches.flat().map((inner) => (inner.code === 'invalid_type' ? inner.expected : null)).filter((type) => type !== null);
  return expected.length > 0 ? `has to be ${[...new Set(expected)].join(' or ')}` : 'has another form than any allowed here';
}

function explain(issue: Issue, root: unknown): string {
  const path = issue.path.map((key) => (typeof key === 'number' ? `[${key}]` : `.${String(key)}`)).join('').replace(/^\./, '') || 'the recipe';
  let value: unknown = root;
  for (const key of issue.path) value = (value as Record<PropertyKey, unknown> | undefined)?.[key];
  // oxlint-disable-next-line typescript/switch-exhaustiveness-check -- the default says what zod says
  switch (issue.code) {
    case 'unrecognized_keys':
      return `${path} has the unknown field ${issue.keys.map((key) => `"${key}"${suggest(key, issue.path)}`).join(', ')}`;
    case 'invalid_type':
      return value === undefined
        ? `${path} is missing: it has to be ${article(issue.expected)}`
        : `${path} is ${JSON.stringify(value)}: it has to be ${article(issue.expected)}`;
    case 'invalid_value':
      return `${path} is ${JSON.stringify(value)}: it has to be one of ${issue.values.map(String).join(', ')}`;
    case 'too_small':
      return `${path} is ${JSON.stringify(value)}: ${issue.message.startsWith('has') ? `it ${issue.message}` : `it has to be ${issue.inclusive === true ? 'at least' : 'over'} ${issue.minimum}`}`;
    case 'too_big':
      return `${path} is ${JSON.stringify(value)}: it has to be at most ${issue.maximum}`;
    case 'custom':
      return `${path} ${issue.message}`;
    default:
      return `${path} is ${JSON.stringify(value)}: it ${issue.message}`;
  }
}

const article = (type: string): string => (/^[aeiou]/.test(type) ? `an ${type}` : `a ${type === 'int' ? 'whole number' : type}`);

const FIELDS = {
  recipe: ['extends', ...Object.keys(recipe.shape)], sources: Object.keys(source.shape), stages: Object.keys(stage.shape), model: Object.keys(modelFields.shape),
  data: ['held_out', 'deduplicate', 'clean', 'near_duplicates', 'mask_personal_data', 'decontaminate', 'sources'], tokenizer: ['path', 'vocab_size', 'pattern', 'sample_bytes'],
  lora: Object.keys(lora.shape), export: ['path', 'dtype', 'generation', 'merge'], mixture: ['source', 'weight', 'epochs', 'loss_weight'], quality: Object.keys(QUALITY_RULES),
};

/** ` (did you mean "steps"?)` for a field that is nearly one we know. */
function suggest(key: string, path: readonly PropertyKey[]): string {
  const last = path.findLast((part) => typeof part === 'string') ?? 'recipe';
  const place = last === 'data' && path[0] === 'stages' ? 'mixture' : last;
  const known = FIELDS[place as keyof typeof FIELDS] ?? FIELDS.recipe;
  const nearest = nearestName(key, known);
  return nearest === undefined ? ` (known here: ${known.join(', ')})` : ` (did you mean "${nearest}"?)`;
}

/** What no single field can know. */
function crossCheck(value: Recipe): string[] {
  const problems: string[] = [];
  const sources = new Set(value.data.sources.map((entry) => entry.name));
  for (const [index, entry] of value.stages.entries()) {
    const at = `stages[${index}] (${entry.name})`;
    for (const item of entry.data ?? []) {
      const wanted = typeof item === 'string' ? item : item.source;
      if (!sources.has(wanted)) problems.push(`${at} mixes in "${wanted}", which is no source: data.sources has ${[...sources].join(', ')}`);
      if (typeof item !== 'string' && item.weight !== undefined && item.epochs !== undefined) {
        problems.push(`${at} gives "${wanted}" both a weight and epochs: give one`);
      }
    }
    if (entry.max_epochs !== undefined && entry.minutes === undefined) {
      problems.push(`${at} has max_epochs ${entry.max_epochs}, which only bounds a stage given in minutes: leave it out`);
    }
    if (entry.max_epochs !== undefined && entry.data?.some((item) => typeof item !== 'string' && item.weight !== undefined) === true) {
      problems.push(`${at} has max_epochs ${entry.max_epochs}, but a mixture by weights has no epochs: leave it out, or the weights`);
    }
    const micro = entry.micro_batch_tokens;
    if (micro !== undefined && entry.batch_tokens !== undefined && entry.batch_tokens % micro !== 0) {
      problems.push(`${at} has batch_tokens ${entry.batch_tokens}, which micro_batch_tokens ${micro} does not divide: change one`);
    }
  }
  const names = value.stages.map((entry) => entry.name);
  if (new Set(names).size !== names.length) problems.push(`two stages have the same name (${names.join(', ')}): give each its own`);
  problems.push(...crossCheckModel(value.model), ...crossCheckLora(value), ...crossCheckItems(value));
  const from = typeof value.model === 'object' ? value.model.from : undefined;
  if (from === undefined && value.tokenizer === undefined) problems.push('tokenizer is missing: give it a vocab_size, or a path');
  if (from !== undefined && value.tokenizer !== undefined) problems.push('model.from brings its own tokenizer: leave tokenizer out');
  return problems;
}

/** Fields of `model` that another one leaves without effect. */
function crossCheckModel(model: Recipe['model']): string[] {
  if (typeof model === 'string') return [];
  const { from, preset, ...rest } = model;
  const idle = (names: readonly (keyof typeof model)[]): string => names.filter((field) => model[field] !== undefined).join(', ');
  const beside = from === undefined ? '' : idle(['preset', ...(Object.keys(rest) as (keyof typeof rest)[])]);
  if (beside !== '') return [`model.from brings the model's shape: leave out ${beside}`];
  const fixed = preset === undefined ? '' : idle(['size', 'family']);
  return fixed === '' ? [] : [`model.preset ${JSON.stringify(preset)} decides ${fixed}: leave that out`];
}
