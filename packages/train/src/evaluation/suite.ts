/**
 * A suite: a YAML file that says what to measure a model on. Each entry names a task, a JSON lines file and templates over its
 * fields (`'{question}'`), as a recipe does.
 */
import { readFile } from 'node:fs/promises';
import { parse } from 'yaml';
import { z } from 'zod';
import { TrainError } from '../errors.ts';

/** A suite that cannot be followed; one problem a line. */
export class SuiteError extends TrainError {
  override name = 'SuiteError';
}

const count = z.number().int().positive();
const template = z.string().min(1);

/** What every entry has. */
const common = {
  /** Letters, digits, dots, dashes. */
  name: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]*$/, 'has to be letters, digits, dots and dashes'),
  /** JSON lines, also .zst or .gz; relative to the suite's folder. */
  file: template,
  /** Of what the model says: en, zh, fr, … */
  language: z.string().regex(/^[a-z]{2}$/, 'has to be two letters, such as en or zh').default('en'),
  /** For people: news, everyday, manuals, … */
  domain: z.string().optional(),
  /** Items at most, drawn by the suite's seed. */
  limit: count.optional(),
  /** Only items whose fields have these values. */
  where: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])).optional(),
  /** simplified: Chinese texts of the file in simplified characters. */
  convert: z.enum(['simplified']).optional(),
  /**
   * held-out, the default: of a file that the model was trained on, only what was kept from training. all: everything, and the
   * report says that it was seen.
   */
  split: z.enum(['held-out', 'all']).default('held-out'),
  /** Another file of the same shape that baselines learn from. */
  train: z.string().optional(),
  licence: z.string().optional(),
};

/** Asks in the model's chat template (true), as plain text (false), or in the template if it has one. */
const chat = z.union([z.boolean(), z.literal('auto')]).default('auto');
const asking = { prompt: template, system: z.string().optional(), chat };
const answering = { ...asking, max_new_tokens: count.default(64), stop: z.array(template).optional() };
const references = z.union([template, z.array(template).min(1)]);

const entry = z.discriminatedUnion('task', [
  z.strictObject({ ...common, task: z.literal('text'), text: template.optional(), max_characters: count.default(4000) }),
  z.strictObject({
    ...common, ...answering, task: z.literal('classification'),
    /** What the classifier beside it reads. */
    text: template.default('{text}'),
    label: template.default('{label}'),
    /** Label → how the model is to say it. */
    labels: z.record(z.string(), template),
    /** The label whose own F1 is of interest. */
    positive: z.string().optional(),
    /** score: the label the model finds likeliest as an answer. generate: the label it says. */
    method: z.enum(['score', 'generate']).default('score'),
  }),
  z.strictObject({
    ...common, task: z.literal('choice'), prompt: z.string().default(''), system: z.string().optional(), chat,
    /** The name of a field with a list, or a template for each choice. */
    choices: z.union([template, z.array(template).min(2)]),
    /** Its text, its letter (A, B, …) or its number from 0. */
    answer: template,
  }),
  z.strictObject({
    ...common, task: z.literal('cloze'), chat: z.literal(false).default(false),
    /** A text whose last word is to be guessed (LAMBADA); or prompt and target. */
    text: template.optional(), prompt: template.optional(), target: template.optional(),
  }),
  z.strictObject({ ...common, ...answering, task: z.literal('translation'), source: template, reference: references }),
  z.strictObject({ ...common, ...answering, task: z.literal('question'), answers: references, context: template.optional() }),
  z.strictObject({ ...common, ...answering, task: z.literal('summary'), document: template, reference: template, lead: count.default(3) }),
  z.strictObject({ ...common, ...answering, task: z.literal('prompts') }),
]);

const suite = z.strictObject({
  name: z.string(),
  description: z.string().optional(),
  seed: z.number().int().nonnegative().default(1),
  /** Of every entry that does not say it. */
  limit: count.default(500),
  entries: z.array(entry).min(1),
});

export type Suite = z.infer<typeof suite>;
export type SuiteEntry = z.infer<typeof entry>;
export type EntryOf<Task extends SuiteEntry['task']> = Extract<SuiteEntry, { task: Task }>;

/** Throws SuiteError. */
export function parseSuite(text: string, path = 'suite'): Suite {
  let value: unknown;
  try {
    value = parse(text);
  } catch (error) {
    throw new SuiteError(`${path} is not YAML: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  }
  const parsed = suite.safeParse(value);
  if (!parsed.success) {
    const problems = parsed.error.issues.map((issue) => `${issue.path.map(String).join('.') || 'the suite'}: ${issue.message}`);
    throw new SuiteError(`${path} cannot be followed:\n${problems.map((problem) => `  ${problem}`).join('\n')}`);
  }
  const problems = parsed.data.entries.flatMap((each) => crossCheck(each));
  const names = parsed.data.entries.map(({ name }) => name);
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined) problems.push(`two entries are called "${twice}": give each its own name`);
  if (problems.length > 0) throw new SuiteError(`${path} cannot be followed:\n${problems.map((problem) => `  ${problem}`).join('\n')}`);
  return parsed.data;
}

function crossCheck(each: SuiteEntry): string[] {
  if (each.task === 'classification') {
    const labels = Object.keys(each.labels);
    if (labels.length < 2) return [`${each.name}: labels has to name at least two`];
    const { positive } = each;
    return positive === undefined || labels.includes(positive) ? [] : [`${each.name}: positive is ${JSON.stringify(positive)}: it has to be one of ${labels.join(', ')}`];
  }
  if (each.task !== 'cloze') return [];
  const pair = each.prompt !== undefined && each.target !== undefined;
  const either = each.text === undefined ? pair : each.prompt === undefined && each.target === undefined;
  return either ? [] : [`${each.name}: a cloze test has a text, or a prompt and a target`];
}

/** Throws SuiteError where there is none, or it cannot be followed. */
export async function loadSuite(path: string): Promise<{ suite: Suite; text: string }> {
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    throw new SuiteError(`${path}: there is no such suite`, { cause: error });
  });
  return { suite: parseSuite(text, path), text };
}
