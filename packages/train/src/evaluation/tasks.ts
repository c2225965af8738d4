/**
 * Each task of a suite: what it asks the model, how it reads the answers, and what stands beside them. Generation is handed in,
 * since this package knows no sampler; likelihoods are the model's own. Over 400 lines: one short section a task.
 */
import { type Conversation, cutPoint, encodeDocument, fillTemplate, type TextDocument, textBytes, toDocument } from '@parley/data';
import type { Transformer } from '@parley/model';
import type { ChatMessage, Tokenizer } from '@parley/tokenizer';
import { TrainError } from '../errors.ts';
import { type AnswerLanguage, answerScore, answerTokens } from './answers.ts';
import { bigramGuesser, ByteNgrams, commonest, lead, mostAlike, sentences, trainBagOfWords } from './baselines.ts';
import { type BleuOptions, bleuScore, bleuSignature, bleuStatistics } from './bleu.ts';
import { meanOf, ratioOf, scoreOfSum, type Statistic } from './bootstrap.ts';
import { type ChrfOptions, chrfScore, chrfSignature, chrfStatistics } from './chrf.ts';
import { accuracy, confusionMatrix, labelF1, type Labelled, macroF1, NO_LABEL } from './classification.ts';
import { learnDictionary, learnMemory, type SentencePair } from './dictionary.ts';
import { textHealth } from './health.ts';
import { clean, type Item } from './items.ts';
import { type Likelihood, type LikelihoodRequest, likelihoods } from './likelihood.ts';
import { rougeL, rougeN } from './rouge.ts';
import type { EntryOf, SuiteEntry } from './suite.ts';

/** A text to complete, or a conversation to answer. */
export type EvaluationPrompt = string | { readonly messages: readonly ChatMessage[] };

/** Answers prompts greedily, in their order. Every prompt fits the context with at least one token to spare; an answer ends where it is full. */
export type TextGenerator = (prompts: readonly EvaluationPrompt[], options: {
  readonly maxNewTokens: number;
  readonly stop: readonly string[];
  readonly signal?: AbortSignal | undefined;
}) => Promise<string[]>;

/** A figure before its interval. Percent and bits: what the statistics give. */
export interface Measure {
  readonly metric: string;
  readonly unit: '%' | 'points' | 'bits per byte' | 'perplexity';
  readonly better: 'higher' | 'lower';
  readonly statistic: Statistic;
  readonly baselines: readonly { readonly name: string; readonly statistic: Statistic }[];
  /** What has to be equal for two scores to be comparable. */
  readonly signature?: string | undefined;
}

export interface Sample {
  readonly asked: string;
  readonly answer: string;
  readonly wanted: string;
}

export interface TaskResult {
  readonly measures: readonly Measure[];
  /** The first few, as they came. */
  readonly samples: readonly Sample[];
  readonly confusion?: { readonly labels: readonly string[]; readonly matrix: readonly (readonly number[])[] } | undefined;
  readonly notes: readonly string[];
}

export interface TaskContext {
  readonly model: Transformer;
  readonly tokenizer: Tokenizer;
  readonly generate: TextGenerator;
  readonly items: readonly Item[];
  /** Items of the same file that were not drawn. */
  readonly rest: readonly Item[];
  /** Items of the entry's `train` file, or null. */
  readonly train: readonly Item[] | null;
  readonly seed: number;
  readonly onProgress: (done: number, total: number) => void;
  readonly signal?: AbortSignal | undefined;
}

const SAMPLES = 6;
/** Prompts answered side by side. */
const SIDE_BY_SIDE = 16;

const fill = (template: string, { fields, place }: Item): string => clean(fillTemplate(template, fields, place));

export async function runTask(entry: SuiteEntry, context: TaskContext): Promise<TaskResult> {
  switch (entry.task) {
    case 'text': return text(entry, context);
    case 'classification': return classification(entry, context);
    case 'choice': return choice(entry, context);
    case 'cloze': return cloze(entry, context);
    case 'translation': return translation(entry, context);
    case 'question': return question(entry, context);
    case 'summary': return summary(entry, context);
    case 'prompts': return prompts(entry, context);
    default: return entry satisfies never;
  }
}

// ---- asking ------------------------------------------------------------------------------------------------------------

interface Asking { readonly chat: boolean | 'auto'; readonly system?: string | undefined }

const inChat = ({ chat }: Asking, { tokenizer }: TaskContext): boolean => (chat === 'auto' ? tokenizer.chatTemplate !== undefined : chat);

function messagesOf(prompt: string, { system }: Asking): ChatMessage[] {
  return [...(system === undefined ? [] : [{ role: 'system' as const, content: system }]), { role: 'user' as const, content: prompt }];
}

const start = (tokenizer: Tokenizer): number => tokenizer.bosTokenId ?? tokenizer.eosTokenId ?? 0;

/** The tokens before an answer: the opened turn of the assistant, or the text itself after what texts begin with. */
function contextTokens(prompt: string, asking: Asking, context: TaskContext): number[] {
  const { tokenizer } = context;
  if (inChat(asking, context)) return tokenizer.encodeChat(messagesOf(prompt, asking), { addGenerationPrompt: true });
  const ids = tokenizer.encode(prompt, { addSpecialTokens: true });
  return ids[0] === start(tokenizer) ? ids : [start(tokenizer), ...ids];
}

/** In plain text a word follows a space where the language has them; in a turn of its own it begins. */
function continuationTokens(continuation: string, prompt: string, asking: Asking, context: TaskContext): number[] {
  const spaced = !inChat(asking, context) && prompt !== '' && !/[\s\p{Script=Han}。，：；！？]$/u.test(prompt) && !/^[\s\p{Script=Han}\p{P}]/u.test(continuation);
  return context.tokenizer.encode(spaced ? ` ${continuation}` : continuation);
}

async function score(requests: readonly LikelihoodRequest[], context: TaskContext): Promise<Likelihood[]> {
  return likelihoods(context.model, requests, {
    signal: context.signal, onProgress: (done) => context.onProgress(Math.floor((done / requests.length) * context.items.length), context.items.length),
  });
}

const cutNote = (scored: readonly Likelihood[]): string[] => {
  const cut = scored.filter((each) => each.cut > 0).length;
  return cut === 0 ? [] : [`${cut} of ${scored.length} prompts were over the model's context; their beginnings were left out`];
};

interface Answers { readonly texts: string[]; readonly notes: string[] }

async function answers(asked: readonly string[], entry: Asking & { max_new_tokens: number; stop?: string[] | undefined }, context: TaskContext): Promise<Answers> {
  const { contextLength } = context.model.config;
  const texts = asked.map(() => '');
  const fitting = asked.map((_, i) => i).filter((i) => contextTokens(asked[i] ?? '', entry, context).length < contextLength);
  const chat = inChat(entry, context);
  for (let at = 0; at < fitting.length; at += SIDE_BY_SIDE) {
    context.signal?.throwIfAborted();
    const group = fitting.slice(at, at + SIDE_BY_SIDE);
    const batch = group.map((i) => (chat ? { messages: messagesOf(asked[i] ?? '', entry) } : (asked[i] ?? '')));
    const said = await context.generate(batch, { maxNewTokens: entry.max_new_tokens, stop: entry.stop ?? (chat ? [] : ['\n']), signal: context.signal });
    for (const [k, i] of group.entries()) texts[i] = (said[k] ?? '').trim();
    context.onProgress(Math.min(asked.length, at + SIDE_BY_SIDE), asked.length);
  }
  const left = asked.length - fitting.length;
  return { texts, notes: left === 0 ? [] : [`${left} of ${asked.length} prompts do not fit the model's context of ${contextLength} tokens; their answers count as empty`] };
}

function samplesOf(asked: readonly string[], said: readonly string[], wanted: readonly string[]): Sample[] {
  return asked.slice(0, SAMPLES).map((prompt, i) => ({ asked: prompt, answer: said[i] ?? '', wanted: wanted[i] ?? '' }));
}

// ---- figures -------------------------------------------------------------------------------------------------------------

/** `copy`: the texts of a baseline, if there is one. */
function healthMeasures(texts: readonly string[], language: string, baseline?: { name: string; texts: readonly string[] }): Measure[] {
  const ours = texts.map((each) => textHealth(each, language));
  const theirs = baseline?.texts.map((each) => textHealth(each, language));
  const figure = (metric: string, of: 'empty' | 'circling' | 'wrongLanguage'): Measure => ({
    metric, unit: '%', better: 'lower', statistic: meanOf(ours.map((each) => Number(each[of])), 100),
    baselines: baseline === undefined || theirs === undefined ? [] : [{ name: baseline.name, statistic: meanOf(theirs.map((each) => Number(each[of])), 100) }],
  });
  return [figure('empty answers', 'empty'), figure('answers going in circles', 'circling'), figure(`answers not in ${language}`, 'wrongLanguage')];
}

interface Rival<T> { readonly name: string; readonly of: T }

/** A mean over the items, in percent. `rivals`: the same values of the baselines. */
const percentage = (metric: string, values: readonly number[], rivals: readonly Rival<readonly number[]>[]): Measure => ({
  metric, unit: '%', better: 'higher', statistic: meanOf(values, 100), baselines: rivals.map(({ name, of }) => ({ name, statistic: meanOf(of, 100) })),
});

// ---- tasks ---------------------------------------------------------------------------------------------------------------

/** Bytes of text the baseline of a language model reads, at most. */
const BASELINE_BYTES = 500_000;

async function text(entry: EntryOf<'text'>, context: TaskContext): Promise<TaskResult> {
  const { tokenizer, model: { config: { contextLength } } } = context;
  const end = start(tokenizer);
  const documentOf = (item: Item): TextDocument | Conversation => {
    const made = toDocument(item.fields, item.place, entry.text === undefined ? {} : { text: entry.text });
    if (made.kind === 'conversation') return made;
    const cleaned = clean(made.text);
    return { ...made, text: cleaned.slice(0, cutPoint(cleaned, entry.max_characters)) };
  };
  const plain = (document: TextDocument | Conversation): string => (document.kind === 'text' ? document.text : document.messages.map(({ content }) => content).join('\n'));
  const documents = context.items.map(documentOf);
  const requests: LikelihoodRequest[] = [];
  const owners: number[] = [];
  for (const [i, document] of documents.entries()) {
    const { ids } = encodeDocument(document, tokenizer, end);
    // Windows of the whole context, each beginning with the token before it, as held-out loss is measured in training.
    for (let at = 0; at + 1 < ids.length; at += contextLength) {
      requests.push({ context: ids.slice(at, at + 1), continuation: ids.slice(at + 1, at + 1 + contextLength) });
      owners.push(i);
    }
  }
  const bits = new Float64Array(documents.length);
  for (const [r, { nats }] of (await score(requests, context)).entries()) {
    const owner = owners[r] ?? 0;
    bits[owner] = (bits[owner] ?? 0) + nats / Math.LN2;
  }
  const bytes = documents.map((document) => textBytes(document));
  const ngrams = new ByteNgrams();
  let learned = 0;
  for (const item of context.train ?? context.rest) {
    const other = plain(documentOf(item));
    if (learned >= BASELINE_BYTES) break;
    ngrams.learn(other);
    learned += Buffer.byteLength(other);
  }
  const theirs = documents.map((document) => ngrams.bits(plain(document)));
  return {
    measures: [{
      metric: 'bits per byte', unit: 'bits per byte', better: 'lower', statistic: ratioOf(bits, bytes),
      baselines: [{ name: `byte 5-grams of ${Math.round(learned / 1000)} kB`, statistic: ratioOf(theirs, bytes) }],
    }],
    samples: [], notes: learned === 0 ? ['no text was left for the n-gram baseline to learn from'] : [],
  };
}

async function classification(entry: EntryOf<'classification'>, context: TaskContext): Promise<TaskResult> {
  const labels = Object.keys(entry.labels);
  const said = Object.values(entry.labels);
  const number = (item: Item): number => {
    const label = fill(entry.label, item);
    const index = labels.indexOf(label);
    if (index < 0) throw new TrainError(`${item.place.path}:${item.place.line} has the label ${JSON.stringify(label)}; the suite names ${labels.join(', ')}`);
    return index;
  };
  const gold = Int32Array.from(context.items, number);
  const asked = context.items.map((item) => fill(entry.prompt, item));
  const predicted = new Int32Array(gold.length).fill(NO_LABEL);
  let notes: string[] = [];
  let spoken: string[];
  if (entry.method === 'score') {
    const requests = asked.flatMap((prompt) => {
      const tokens = contextTokens(prompt, entry, context);
      return said.map((label) => ({ context: tokens, continuation: continuationTokens(label, prompt, entry, context) }));
    });
    const scored = await score(requests, context);
    for (let i = 0; i < gold.length; i++) {
      const own = scored.slice(i * said.length, (i + 1) * said.length).map(({ nats }) => nats);
      predicted[i] = own.indexOf(Math.min(...own));
    }
    notes = cutNote(scored);
    spoken = Array.from(predicted, (label) => said[label] ?? '');
  } else {
    const given = await answers(asked, entry, context);
    notes = given.notes;
    spoken = given.texts;
    for (const [i, answer] of spoken.entries()) predicted[i] = labelIn(answer, said, entry.language);
  }
  const labelled: Labelled = { gold, predicted, labels: labels.length };
  const rivals: Rival<Labelled>[] = [];
  const examples = (context.train ?? context.rest).map((item) => ({ text: fill(entry.text, item), label: number(item) }));
  const known = examples.length > 0;
  const most = commonest(known ? examples.map(({ label }) => label) : gold) ?? 0;
  rivals.push({ name: known ? 'majority' : 'majority (of these items)', of: { ...labelled, predicted: new Int32Array(gold.length).fill(most) } });
  if (known) {
    const classify = trainBagOfWords(examples, { labels: labels.length, seed: context.seed });
    const name = `bag of words (${examples.length.toLocaleString('en')} ${context.train === null ? 'other texts of the file' : 'texts'})`;
    rivals.push({ name, of: { ...labelled, predicted: Int32Array.from(context.items, (item) => classify(fill(entry.text, item))) } });
  }
  const measure = (metric: string, of: (labelled: Labelled, indices: Int32Array) => number): Measure => ({
    metric, unit: '%', better: 'higher', statistic: (indices) => 100 * of(labelled, indices),
    baselines: rivals.map((rival) => ({ name: rival.name, statistic: (indices) => 100 * of(rival.of, indices) })),
  });
  return {
    measures: [
      measure('accuracy', accuracy), measure('macro F1', macroF1),
      ...(entry.positive === undefined ? [] : [measure(`F1 of ${entry.positive}`, (of, indices) => zeroIfNone(labelF1(of, indices)[labels.indexOf(entry.positive ?? '')]))]),
    ],
    samples: samplesOf(asked, spoken, Array.from(gold, (label) => said[label] ?? '')),
    confusion: { labels, matrix: confusionMatrix(labelled) }, notes,
  };
}

/** scikit-learn's convention: a label that neither occurs nor is said has an F1 of 0. */
const zeroIfNone = (f1 = 0): number => (Number.isNaN(f1) ? 0 : f1);

/** The label that stands first in the answer; of two in one place the longer. */
function labelIn(answer: string, said: readonly string[], language: string): number {
  const tokens = (text: string): string => ` ${answerTokens(text, answerLanguage(language)).join(' ')} `;
  const text = tokens(answer);
  const found = said.map((label, i) => ({ i, at: text.indexOf(tokens(label)), length: label.length })).filter(({ at }) => at >= 0);
  return found.toSorted((a, b) => a.at - b.at || b.length - a.length)[0]?.i ?? NO_LABEL;
}

const answerLanguage = (language: string): AnswerLanguage => (language === 'zh' ? 'zh' : 'en');

async function choice(entry: EntryOf<'choice'>, context: TaskContext): Promise<TaskResult> {
  const options = context.items.map((item) => choicesOf(entry, item));
  const gold = context.items.map((item, i) => answerIndex(fill(entry.answer, item), options[i] ?? [], item));
  const asked = context.items.map((item) => (entry.prompt === '' ? '' : fill(entry.prompt, item)));
  const plain = asked.every((prompt) => prompt === '');
  const asking: Asking = plain ? { chat: false } : entry;
  const requests = asked.flatMap((prompt, i) => {
    const tokens = contextTokens(prompt, asking, context);
    return (options[i] ?? []).map((option) => ({ context: tokens, continuation: continuationTokens(option, prompt, asking, context) }));
  });
  const scored = await score(requests, context);
  const right: number[] = [];
  const rightByLength: number[] = [];
  const chosen: string[] = [];
  let at = 0;
  for (const [i, own] of options.entries()) {
    const nats = scored.slice(at, at + own.length).map((each) => each.nats);
    at += own.length;
    const likeliest = nats.indexOf(Math.min(...nats));
    const perByte = nats.map((each, k) => each / Math.max(1, Buffer.byteLength(own[k] ?? '')));
    chosen.push(own[likeliest] ?? '');
    right.push(Number(likeliest === gold[i]));
    rightByLength.push(Number(perByte.indexOf(Math.min(...perByte)) === gold[i]));
  }
  const others = (context.train ?? context.rest).map((item) => answerIndex(fill(entry.answer, item), choicesOf(entry, item), item));
  const position = commonest(others.length > 0 ? others : gold) ?? 0;
  const rivals = [
    { name: 'chance', of: options.map((own) => 1 / own.length) },
    { name: `always number ${position + 1}`, of: gold.map((answer) => Number(answer === position)) },
    ...(plain ? [] : [{ name: 'most words of the question', of: options.map((own, i) => Number(mostAlike(own, asked[i] ?? '') === gold[i])) }]),
  ];
  return {
    measures: [percentage('accuracy', right, rivals), percentage('accuracy, likelihood per byte', rightByLength, rivals)],
    samples: samplesOf(plain ? options.map((own) => own.join(' / ')) : asked, chosen, gold.map((answer, i) => options[i]?.[answer] ?? '')), notes: cutNote(scored),
  };
}

function choicesOf(entry: EntryOf<'choice'>, item: Item): string[] {
  const { choices } = entry;
  if (typeof choices !== 'string') return choices.map((template) => fill(template, item));
  const list = item.fields[choices];
  if (Array.isArray(list) && list.length > 1 && list.every((each) => typeof each === 'string')) return list.map((each) => clean(each));
  throw new TrainError(`${item.place.path}:${item.place.line}: the field "${choices}" is no list of at least two texts`);
}

function answerIndex(answer: string, options: readonly string[], { place }: Item): number {
  const byText = options.indexOf(answer);
  const byLetter = /^[A-Z]$/.test(answer) ? answer.charCodeAt(0) - 65 : -1;
  const index = byText >= 0 ? byText : byLetter >= 0 ? byLetter : /^\d+$/.test(answer) ? Number(answer) : -1;
  if (index >= 0 && index < options.length) return index;
  throw new TrainError(`${place.path}:${place.line}: the answer ${JSON.stringify(answer)} is none of the ${options.length} choices, nor a letter or number of one`);
}

async function cloze(entry: EntryOf<'cloze'>, context: TaskContext): Promise<TaskResult> {
  const pairs = context.items.map((item) => {
    if (entry.text === undefined) return { prompt: fill(entry.prompt ?? '', item), target: fill(entry.target ?? '', item) };
    const whole = fill(entry.text, item);
    const cut = /\s\S+$/u.exec(whole)?.index ?? (whole.length > 1 ? whole.length - 1 : 0);
    return { prompt: whole.slice(0, cut), target: whole.slice(cut).trim() };
  });
  const asking = { chat: false } as const;
  const scored = await score(pairs.map(({ prompt, target }) => ({
    context: contextTokens(prompt, asking, context), continuation: continuationTokens(target, prompt, asking, context),
  })), context);
  const guess = bigramGuesser(pairs.map(({ prompt }) => prompt));
  const nats = scored.map((each) => each.nats);
  const words = pairs.map(() => 1);
  const perWord = ratioOf(nats, words);
  return {
    measures: [
      percentage('accuracy', scored.map(({ greedy }) => Number(greedy)), [{ name: 'word pairs', of: pairs.map(({ prompt, target }) => Number(guess(prompt) === target)) }]),
      { metric: 'perplexity of the target', unit: 'perplexity', better: 'lower', statistic: (indices) => Math.exp(perWord(indices)), baselines: [] },
    ],
    samples: [], notes: cutNote(scored),
  };
}

const templates = (references: string | readonly string[], item: Item): string[] => {
  // The name of a list's field stands for all its entries.
  const list = typeof references === 'string' ? item.fields[references] : undefined;
  if (Array.isArray(list) && list.every((each) => typeof each === 'string')) return list.map((each) => clean(each));
  return (typeof references === 'string' ? [references] : references).map((template) => fill(template, item));
};

async function translation(entry: EntryOf<'translation'>, context: TaskContext): Promise<TaskResult> {
  const asked = context.items.map((item) => fill(entry.prompt, item));
  const sources = context.items.map((item) => fill(entry.source, item));
  const wanted = context.items.map((item) => templates(entry.reference, item));
  const { texts, notes } = await answers(asked, entry, context);
  const nrefs = Math.max(...wanted.map(({ length }) => length));
  const bleu: BleuOptions = { tokenize: entry.language === 'zh' ? 'zh' : '13a' };
  const bleuOf = (of: readonly string[]): Statistic => scoreOfSum(of.map((each, i) => bleuStatistics(each, wanted[i] ?? [], bleu)), (sum) => bleuScore(sum, bleu).score);
  const chrfOf = (of: readonly string[], options: ChrfOptions): Statistic =>
    scoreOfSum(of.map((each, i) => chrfStatistics(each, wanted[i] ?? [], options)), (sum) => chrfScore(sum, options));
  const rivals = [{ name: 'copy of the source', texts: sources }, ...learnedTranslations(entry, context, sources)];
  const beside = (statistic: (texts: readonly string[]) => Statistic): Measure['baselines'] => rivals.map((rival) => ({ name: rival.name, statistic: statistic(rival.texts) }));
  const points = { unit: 'points', better: 'higher' } as const;
  const plus: ChrfOptions = { words: 2 };
  return {
    measures: [
      { metric: 'chrF', ...points, statistic: chrfOf(texts, {}), baselines: beside((of) => chrfOf(of, {})), signature: chrfSignature({ references: nrefs }) },
      { metric: 'chrF++', ...points, statistic: chrfOf(texts, plus), baselines: beside((of) => chrfOf(of, plus)), signature: chrfSignature({ ...plus, references: nrefs }) },
      { metric: 'BLEU', ...points, statistic: bleuOf(texts), baselines: beside(bleuOf), signature: bleuSignature({ ...bleu, references: nrefs }) },
      ...healthMeasures(texts, entry.language, { name: 'copy of the source', texts: sources }),
    ],
    samples: samplesOf(asked, texts, wanted.map((each) => each.join(' / '))), notes,
  };
}

/** What the pairs that were not asked teach a dictionary and a memory; nothing where there are none. */
function learnedTranslations(entry: EntryOf<'translation'>, context: TaskContext, asked: readonly string[]): { name: string; texts: string[] }[] {
  const measured = new Set(asked);
  const pairs: SentencePair[] = (context.train ?? context.rest)
    .map((item) => ({ source: fill(entry.source, item), target: templates(entry.reference, item)[0] ?? '' })).filter(({ source }) => !measured.has(source));
  if (pairs.length === 0) return [];
  // What is asked may be Chinese among English; the words are cut by what most of it is written in.
  const from = asked.join('').match(/\p{Script=Han}/gu)?.length ?? 0;
  const source = from > asked.join('').length / 3 ? 'zh' : 'en';
  const dictionary = learnDictionary(pairs, { source, target: entry.language });
  const memory = learnMemory(pairs, source);
  const count = pairs.length.toLocaleString('en');
  return [
    { name: `word by word (dictionary from ${count} pairs)`, texts: asked.map(dictionary) },
    { name: `most similar of ${count} pairs`, texts: asked.map(memory) },
  ];
}

async function question(entry: EntryOf<'question'>, context: TaskContext): Promise<TaskResult> {
  const asked = context.items.map((item) => fill(entry.prompt, item));
  const wanted = context.items.map((item) => templates(entry.answers, item));
  const { texts, notes } = await answers(asked, entry, context);
  const language = answerLanguage(entry.language);
  const { context: passage } = entry;
  const usual = commonest((context.train ?? context.rest).flatMap((item) => templates(entry.answers, item).slice(0, 1))) ?? '';
  const rival = passage === undefined
    ? { name: `always ${JSON.stringify(usual)}`, texts: asked.map(() => usual) }
    : { name: 'sentence most like the question', texts: context.items.map((item, i) => {
      const candidates = sentences(fill(passage, item));
      return candidates[mostAlike(candidates, (asked[i] ?? '').replace(fill(passage, item), ''))] ?? '';
    }) };
  const scores = texts.map((each, i) => answerScore(each, wanted[i] ?? [], language));
  const theirs = rival.texts.map((each, i) => answerScore(each, wanted[i] ?? [], language));
  return {
    measures: [
      percentage('exact match', scores.map(({ exact }) => exact), [{ name: rival.name, of: theirs.map(({ exact }) => exact) }]),
      percentage('token F1', scores.map(({ f1 }) => f1), [{ name: rival.name, of: theirs.map(({ f1 }) => f1) }]),
      ...healthMeasures(texts, entry.language, rival),
    ],
    samples: samplesOf(asked, texts, wanted.map((each) => each.join(' / '))), notes,
  };
}

async function summary(entry: EntryOf<'summary'>, context: TaskContext): Promise<TaskResult> {
  const asked = context.items.map((item) => fill(entry.prompt, item));
  const wanted = context.items.map((item) => fill(entry.reference, item));
  const { texts, notes } = await answers(asked, entry, context);
  const rival = { name: `first ${entry.lead} sentences`, texts: context.items.map((item) => lead(fill(entry.document, item), entry.lead)) };
  const measure = (metric: string, of: (hypothesis: string, reference: string) => { f1: number }): Measure => percentage(
    metric, texts.map((each, i) => of(each, wanted[i] ?? '').f1), [{ name: rival.name, of: rival.texts.map((each, i) => of(each, wanted[i] ?? '').f1) }],
  );
  return {
    measures: [
      measure('ROUGE-1', (a, b) => rougeN(a, b, 1)), measure('ROUGE-2', (a, b) => rougeN(a, b, 2)), measure('ROUGE-L', rougeL),
      ...healthMeasures(texts, entry.language, rival),
    ],
    samples: samplesOf(asked, texts, wanted), notes,
  };
}

async function prompts(entry: EntryOf<'prompts'>, context: TaskContext): Promise<TaskResult> {
  const asked = context.items.map((item) => fill(entry.prompt, item));
  const { texts, notes } = await answers(asked, entry, context);
  return { measures: healthMeasures(texts, entry.language, { name: 'copy of the prompt', texts: asked }), samples: samplesOf(asked, texts, []), notes };
}
