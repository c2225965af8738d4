import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { emptyCounts, isHeldOut, readSource } from '@parley/data';
import { Arena, Random, ReferenceBackend } from '@parley/engine';
import { llamaConfig, singleSequence, Transformer } from '@parley/model';
import { CHATML_TEMPLATE, PARLEY_SPECIAL_TOKENS, type Tokenizer, trainTokenizer } from '@parley/tokenizer';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { sourceSpecs } from '../plan.ts';
import { paragraphs, TINY_RECIPE, tinyData } from '../testing/texts.ts';
import { bigramGuesser, ByteNgrams, commonest, mostAlike, trainBagOfWords } from './baselines.ts';
import { type EvaluateSuiteOptions, evaluateSuite, type EvaluationReport } from './evaluate-suite.ts';
import { drawItems, type Item, loadTrainingRun, trainedOn } from './items.ts';
import { likelihoods } from './likelihood.ts';
import { reportHtml, reportMarkdown, verdict } from './report.ts';
import { parseSuite, SuiteError } from './suite.ts';
import type { TextGenerator } from './tasks.ts';

let folder = '';
let tokenizer: Tokenizer;
const backend = new ReferenceBackend();
let model: Transformer;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'parley-evaluation-'));
  tokenizer = await trainTokenizer(paragraphs(20), { vocabSize: 300, specialTokens: PARLEY_SPECIAL_TOKENS, pattern: 'gpt4', chatTemplate: CHATML_TEMPLATE });
  model = Transformer.initialize(backend, llamaConfig({
    vocabSize: tokenizer.vocabSize, contextLength: 96, hiddenSize: 16, heads: 2, keyValueHeads: 1, layers: 1, intermediateSize: 32,
  }), new Random(1));
});
afterAll(async () => {
  model.dispose();
  await backend[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

const write = (name: string, lines: readonly object[]): void => writeFileSync(join(folder, name), lines.map((line) => JSON.stringify(line)).join('\n'));

test('likelihoods of a batch are those of each request alone, and what the model\'s own loss says, within 1e-5', async () => {
  const random = new Random(3);
  const ids = (length: number): number[] => Array.from({ length }, () => random.below(tokenizer.vocabSize));
  const requests = [[1, 4], [7, 1], [30, 12], [3, 96], [90, 20]].map(([c = 1, t = 1]) => ({ context: ids(c), continuation: ids(t) }));
  const together = await likelihoods(model, requests);
  using arena = new Arena(backend);
  for (const [i, request] of requests.entries()) {
    const [alone] = await likelihoods(model, [request], { batchTokens: 1 });
    expect(alone?.nats).toBeCloseTo(together[i]?.nats ?? 0, 5);
    const whole = [...request.context, ...request.continuation].slice(-97);
    const first = whole.length - 1 - request.continuation.length;
    const targets = Int32Array.from(whole.slice(1), (id, at) => (at < first ? -100 : id));
    arena.reset();
    const losses = await model.loss({ arena, tape: null }, singleSequence(whole.slice(0, -1)), { targets }).read();
    expect(together[i]?.nats).toBeCloseTo(losses.reduce((sum, loss) => sum + loss, 0), 4);
    expect(together[i]?.cut).toBe(Math.max(0, request.context.length + request.continuation.length - 97));
  }
  await expect(likelihoods(model, [{ context: ids(1), continuation: ids(97) }])).rejects.toThrow('over this model\'s context of 96');
});

test('the greedy mark is set exactly where every token is the likeliest', async () => {
  using arena = new Arena(backend);
  const context = [5, 9, 2];
  const continuation: number[] = [];
  for (let i = 0; i < 3; i++) {
    arena.reset();
    const logits = await model.forward({ arena, tape: null }, { ...singleSequence([...context, ...continuation]), logitRows: Int32Array.of(2 + i) }).read();
    continuation.push(logits.indexOf(Math.max(...logits)));
  }
  const other = [...continuation.slice(0, 2), ((continuation[2] ?? 0) + 1) % tokenizer.vocabSize];
  expect((await likelihoods(model, [{ context, continuation }, { context, continuation: other }])).map(({ greedy }) => greedy)).toEqual([true, false]);
});

test('baselines: bag of words learns a planted rule, byte n-grams beat 8 bits and follow what they learned, the rest by hand', () => {
  const random = new Random(2);
  const make = (): { text: string; label: number } => {
    const label = random.below(3);
    return { text: [['good', '好'], ['bad', '坏'], ['so', '中']][label]?.[random.below(2)] + ' ' + Array.from({ length: 6 }, () => `w${random.below(40)}`).join(' '), label };
  };
  const classify = trainBagOfWords(Array.from({ length: 600 }, make), { labels: 3, seed: 1 });
  const tests = Array.from({ length: 200 }, make);
  expect(tests.filter(({ text, label }) => classify(text) === label).length).toBeGreaterThan(190);
  const ngrams = new ByteNgrams();
  expect(ngrams.bits('abc')).toBe(24);
  for (const text of paragraphs(30)) ngrams.learn(text);
  const [other = ''] = paragraphs(1, 99);
  expect(ngrams.bits(other) / Buffer.byteLength(other)).toBeLessThan(2);
  expect(ngrams.bits('zzzzqqqq')).toBeGreaterThan(8 * 6);
  expect(commonest(['a', 'b', 'b'])).toBe('b');
  expect(mostAlike(['the dog ran', 'a cat sat'], 'where did a cat sit?')).toBe(1);
  expect(bigramGuesser(['a b a b a c', 'a b'])('see a')).toBe('b');
});

test('byte n-grams are a distribution: over all next bytes the probabilities sum to 1 within 1e-9', () => {
  const ngrams = new ByteNgrams();
  ngrams.learn('abracadabra');
  const before = ngrams.bits('abr');
  let sum = 0;
  for (let byte = 0; byte < 128; byte++) sum += 2 ** -(ngrams.bits(`abr${String.fromCharCode(byte)}`) - before);
  // The upper half was never seen: each of its bytes has what byte 127 has.
  sum += 128 * 2 ** -(ngrams.bits('abr\u007f') - before);
  expect(sum).toBeCloseTo(1, 9);
});

test('items are drawn by the seed, each as likely as the other, and what was not drawn is the rest', async () => {
  write('many.jsonl', Array.from({ length: 200 }, (_, i) => ({ n: i, odd: i % 2 === 1 })));
  const path = join(folder, 'many.jsonl');
  const drawn = await drawItems(path, { limit: 20, seed: 4, where: { odd: true } });
  expect(drawn).toMatchObject({ total: 200, eligible: 100 });
  expect(drawn.items.length + drawn.rest.length).toBe(100);
  expect(new Set([...drawn.items, ...drawn.rest].map(({ fields }) => fields['n'])).size).toBe(100);
  expect((await drawItems(path, { limit: 20, seed: 4, where: { odd: true } })).items).toEqual(drawn.items);
  const mean = drawn.items.reduce((sum, { fields }) => sum + Number(fields['n']), 0) / 20;
  expect(Math.abs(mean - 100)).toBeLessThan(45);
});

/** A run's folder as far as evaluation looks at it, for the tiny recipe. */
function makeRun(): string {
  const run = join(folder, 'run');
  mkdirSync(join(run, 'data'), { recursive: true });
  writeFileSync(join(run, 'recipe.yaml'), TINY_RECIPE);
  const data = tinyData();
  for (const [name, text] of Object.entries(data)) writeFileSync(join(folder, name), text);
  const sources = (['texts', 'chats'] as const).map((name) => ({
    name, licence: 'CC0-1.0', files: [{ path: `${name}.jsonl`, bytes: 1, sha256: createHash('sha256').update(data[`${name}.jsonl`]).digest('hex') }],
  }));
  writeFileSync(join(run, 'data', 'manifest.json'), JSON.stringify({ version: 1, sources }));
  return run;
}

test('what a run kept from training is found again by the preparation\'s own rule, item by item', async () => {
  const run = await loadTrainingRun(makeRun());
  for (const spec of sourceSpecs(run.recipe, folder)) {
    const heldOut = new Set<string>();
    for await (const { document, digest } of readSource(spec, emptyCounts())) if (isHeldOut(digest, 0.1)) heldOut.add(JSON.stringify(document.line));
    const path = join(folder, `${spec.name}.jsonl`);
    const membership = trainedOn(run, createHash('sha256').update(readFileSync(path)).digest('hex'));
    const { items } = await drawItems(path, { limit: 100, seed: 1 });
    const unseen = items.filter((item: Item) => membership?.seen(item) === false).map(({ place }) => JSON.stringify(place.line));
    expect(heldOut.size).toBeGreaterThan(0);
    expect(unseen.sort()).toEqual([...heldOut].sort());
  }
  expect(trainedOn(run, 'another')).toBeNull();
});

const SUITE = `
name: tiny
seed: 5
limit: 12
entries:
  - { name: texts, task: text, file: texts.jsonl }
  - { name: chats, task: text, file: chats.jsonl, split: all }
  - { name: tone, task: classification, file: tone.jsonl, prompt: 'Tone? {text}', labels: { good: fine, bad: poor }, positive: bad }
  - { name: tone-said, task: classification, file: tone.jsonl, prompt: 'Tone? {text}', labels: { good: fine, bad: poor }, method: generate }
  - { name: pick, task: choice, file: pick.jsonl, prompt: '{q}', choices: options, answer: '{a}' }
  - { name: grammar, task: choice, file: grammar.jsonl, choices: ['{good}', '{bad}'], answer: '0' }
  - { name: last-word, task: cloze, file: tone.jsonl, text: '{text}' }
  - { name: translate, task: translation, language: zh, file: pairs.jsonl, prompt: 'To Chinese: {en}', source: '{en}', reference: '{zh}' }
  - { name: ask, task: question, file: ask.jsonl, prompt: '{context} {q}', context: '{context}', answers: answers }
  - { name: shorten, task: summary, file: pairs.jsonl, prompt: 'Shorten: {en}', document: '{en}', reference: '{en}', lead: 1 }
  - { name: talk, task: prompts, file: ask.jsonl, prompt: '{q}' }
  - { name: absent, task: prompts, file: nowhere.jsonl, prompt: '{q}' }
  - { name: broken, task: prompts, file: ask.jsonl, prompt: '{missing}' }
`;

function options(generate: TextGenerator): EvaluateSuiteOptions {
  write('tone.jsonl', Array.from({ length: 60 }, (_, i) => ({ text: `it was ${i % 3 === 0 ? 'a bad' : 'a good'} day number ${i}`, label: i % 3 === 0 ? 'bad' : 'good' })));
  write('pick.jsonl', Array.from({ length: 20 }, (_, i) => ({ q: `Which is ${i}?`, options: [`${i}`, 'cat', 'dog'], a: String(i) })));
  write('grammar.jsonl', Array.from({ length: 20 }, (_, i) => ({ good: `Anna sees ${i} cats.`, bad: `Anna see ${i} cats.` })));
  write('pairs.jsonl', Array.from({ length: 20 }, (_, i) => ({ en: `I have ${i} cats. They sleep.`, zh: `我有${i}只猫。它们睡觉。` })));
  write('ask.jsonl', Array.from({ length: 20 }, (_, i) => ({ context: `Ben is here. Anna has ${i} cats.`, q: 'How many cats has Anna?', answers: [`${i}`, `${i} cats`] })));
  return {
    suite: parseSuite(SUITE), text: SUITE, folder, model, tokenizer, generate, name: 'tiny', weights: [{ path: 'model.safetensors', bytes: 1, sha256: 'ab'.repeat(32) }],
    code: 'test', date: '2026-01-01',
  };
}

type Measured = Extract<EvaluationReport['entries'][number], { status: 'measured' }>;
const entryOf = (report: EvaluationReport, name: string): Measured => report.entries.find((entry) => entry.name === name && entry.status === 'measured') as Measured;
const value = (report: EvaluationReport, name: string, metric: string): number | null | undefined => entryOf(report, name).figures.find((figure) => figure.metric === metric)?.value;

test('a suite end to end with an answerer that knows: its figures are what its answers deserve, in under 10 s', async () => {
  const begun = performance.now();
  // Answers by the text it is asked: right for translation, a sentence for questions, half right for the tone.
  const oracle: TextGenerator = (prompts) => Promise.resolve(prompts.map((prompt) => {
    const asked = typeof prompt === 'string' ? prompt : (prompt.messages.at(-1)?.content ?? '');
    const cats = /(\d+) cats/.exec(asked)?.[1] ?? '';
    if (asked.startsWith('To Chinese')) return `我有${cats}只猫。它们睡觉。`;
    if (asked.startsWith('Shorten')) return asked.slice('Shorten: '.length);
    if (asked.startsWith('Tone')) return asked.includes('bad') ? 'It is poor, not fine.' : 'no idea';
    return cats === '' ? 'x x x x x x x x x x' : `the ${cats}.`;
  }));
  const report = await evaluateSuite({ ...options(oracle), run: await loadTrainingRun(makeRun()) });
  expect(report.entries.map(({ name, status }) => `${name} ${status}`)).toEqual([
    'texts measured', 'chats measured', 'tone measured', 'tone-said measured', 'pick measured', 'grammar measured', 'last-word measured', 'translate measured',
    'ask measured', 'shorten measured', 'talk measured', 'absent skipped', 'broken failed',
  ]);
  for (const metric of ['chrF', 'chrF++', 'BLEU']) expect(value(report, 'translate', metric)).toBeCloseTo(100, 9);
  expect(value(report, 'translate', 'answers not in zh')).toBe(0);
  expect(value(report, 'ask', 'exact match')).toBe(100);
  expect(value(report, 'shorten', 'ROUGE-L')).toBe(100);
  expect(value(report, 'talk', 'answers going in circles')).toBe(100);
  expect(value(report, 'tone-said', 'accuracy')).toBeCloseTo(100 * Number(entryOf(report, 'tone-said').confusion?.matrix[1]?.[1]) / 12, 9);
  expect(entryOf(report, 'tone-said').confusion?.matrix[0]?.slice(0, 2)).toEqual([0, 0]);
  // An untrained model spreads itself over 300 tokens of about one byte: near 8 bits a byte, and worse than n-grams of the file.
  const texts = entryOf(report, 'chats').figures[0];
  expect(texts?.value).toBeGreaterThan(2);
  expect(texts && verdict(texts, texts.baselines[0]?.difference ?? { value: 0, low: 0, high: 0 })).toBe('worse');
  const tone = entryOf(report, 'tone').figures[0];
  expect(tone?.baselines.map(({ name }) => name)).toEqual(['majority', 'bag of words (48 other texts of the file)']);
  expect(tone?.baselines[1]?.value).toBe(100);
  expect(entryOf(report, 'pick').figures[0]?.baselines.map((each) => each.name)).toContain('chance');
  expect(entryOf(report, 'texts')).toMatchObject({ training: 'held-out', items: { total: 60 } });
  expect(entryOf(report, 'texts').items.eligible).toBeLessThan(20);
  expect(entryOf(report, 'chats')).toMatchObject({ training: 'seen' });
  expect(entryOf(report, 'tone')).toMatchObject({ training: 'unseen' });
  for (const entry of report.entries) {
    if (entry.status !== 'measured') continue;
    for (const { low, high, value: middle } of entry.figures) expect((low ?? -1) <= (middle ?? 0) + 1e-9 && (middle ?? 0) <= (high ?? 0) + 1e-9).toBe(true);
  }
  const broken = report.entries.at(-1);
  expect(broken?.status === 'failed' && broken.reason).toContain('the template wants the field "missing"');
  expect(JSON.stringify(report)).not.toContain(folder);
  const [markdown, html] = [reportMarkdown(report), reportHtml(report)];
  for (const card of [markdown, html]) {
    for (const text of ['chrF++', 'abababababab', 'nrefs:1|case:mixed|eff:no|tok:zh|smooth:exp', 'the figures flatter', 'there is no nowhere.jsonl', 'CC0-1.0']) expect(card).toContain(text);
    expect(card).not.toMatch(/NaN|undefined|\[object/);
  }
  expect(html).not.toMatch(/(?:src|href)="?http/);
  const again = await evaluateSuite({ ...options(oracle), run: await loadTrainingRun(makeRun()) });
  const withoutTimes = (each: EvaluationReport): unknown => each.entries.map((entry) => ({ ...entry, seconds: 0 }));
  expect(withoutTimes(again)).toEqual(withoutTimes(report));
  expect(performance.now() - begun).toBeLessThan(10_000);
});

test('choices in the shapes of HellaSwag (list and number), C-Eval (columns and letter), BLiMP (two sentences) and LAMBADA (last word)', async () => {
  const base = options((prompts) => Promise.resolve(prompts.map(() => '')));
  write('hellaswag.jsonl', [{ ctx: 'Anna calls', endings: ['a horse.', 'one bird.', 'Ben.', 'the cat.'], label: '2' }]);
  write('ceval.jsonl', [{ question: '下列哪一个是水果？', A: '狗', B: '苹果', C: '桌子', D: '铁', answer: 'B' }]);
  write('blimp.jsonl', Array.from({ length: 30 }, (_, i) => ({ sentence_good: `Anna sees ${i} cats.`, sentence_bad: `Anna see ${i} cats.` })));
  write('lambada.jsonl', [{ text: 'Ben likes the dog and Cleo likes the dog' }]);
  const suite = parseSuite(`
name: shapes
entries:
  - { name: hellaswag, task: choice, file: hellaswag.jsonl, prompt: '{ctx}', choices: endings, answer: '{label}', chat: false }
  - { name: ceval, task: choice, language: zh, file: ceval.jsonl, prompt: '{question}', choices: ['{A}', '{B}', '{C}', '{D}'], answer: '{answer}' }
  - { name: blimp, task: choice, file: blimp.jsonl, choices: ['{sentence_good}', '{sentence_bad}'], answer: '0' }
  - { name: lambada, task: cloze, file: lambada.jsonl, text: '{text}' }
`);
  const report = await evaluateSuite({ ...base, suite });
  expect(entryOf(report, 'hellaswag').samples[0]).toMatchObject({ asked: 'Anna calls', wanted: 'Ben.' });
  expect(entryOf(report, 'ceval').samples[0]?.wanted).toBe('苹果');
  expect(entryOf(report, 'lambada').figures[0]?.baselines).toMatchObject([{ name: 'word pairs', value: 100 }]);
  const bos = [tokenizer.bosTokenId ?? 0];
  const nats = async (text: string): Promise<number> => (await likelihoods(model, [{ context: bos, continuation: tokenizer.encode(text) }]))[0]?.nats ?? 0;
  let right = 0;
  for (let i = 0; i < 30; i++) if ((await nats(`Anna sees ${i} cats.`)) < (await nats(`Anna see ${i} cats.`))) right++;
  expect(value(report, 'blimp', 'accuracy')).toBeCloseTo((100 * right) / 30, 9);
  const target = tokenizer.encode(' dog');
  const context = [...bos, ...tokenizer.encode('Ben likes the dog and Cleo likes the')];
  expect(Math.log(value(report, 'lambada', 'perplexity of the target') ?? 0)).toBeCloseTo((await likelihoods(model, [{ context, continuation: target }]))[0]?.nats ?? 0, 5);
});

test('a prompt that does not fit the context counts as unanswered, and is said; the signal stops the suite', async () => {
  const long = 'Anna sees the cat. '.repeat(60);
  write('long.jsonl', [{ q: long }, { q: 'Hi' }]);
  const base = options((prompts) => Promise.resolve(prompts.map(() => 'Hello')));
  const suite = parseSuite('{ name: long, entries: [{ name: talk, task: prompts, file: long.jsonl, prompt: "{q}" }] }');
  const report = await evaluateSuite({ ...base, suite });
  expect(value(report, 'talk', 'empty answers')).toBe(50);
  expect(entryOf(report, 'talk').notes).toEqual(['1 of 2 prompts do not fit the model\'s context of 96 tokens; their answers count as empty']);
  const controller = new AbortController();
  controller.abort(new Error('stop'));
  await expect(evaluateSuite({ ...base, suite, signal: controller.signal })).rejects.toThrow('stop');
});

test.each([
  ['name: x', /entries/], ['{ name: x, entries: [{ name: a, task: guess, file: f }] }', /entries\.0\.task/],
  ['{ name: x, entries: [{ name: a, task: prompts, file: f, prompt: p, colour: red }] }', /colour/],
  ['{ name: x, entries: [{ name: a, task: cloze, file: f }] }', /a cloze test has a text, or a prompt and a target/],
  ['{ name: x, entries: [{ name: a, task: text, file: f }, { name: a, task: text, file: g }] }', /two entries are called "a"/],
  ['{ name: x, entries: [{ name: a, task: classification, file: f, prompt: p, labels: { a: b, c: d }, positive: e }] }', /positive is "e"/],
  [': :', /not YAML|cannot be followed/],
])('the suite %j is refused with what is wrong', (text, message) => {
  expect(() => parseSuite(text, 'mine.yaml')).toThrow(SuiteError);
  expect(() => parseSuite(text, 'mine.yaml')).toThrow(message);
});

test('the suites that ship can be followed', () => {
  const path = new URL('../../../../recipes/eval/small.yaml', import.meta.url);
  expect(parseSuite(readFileSync(path, 'utf8'), 'small.yaml').entries.length).toBeGreaterThan(10);
});
