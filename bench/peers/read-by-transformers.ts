/**
 * Whether Hugging Face transformers and PEFT read what Parley writes: `npx node bench/peers/read-by-transformers.ts [MODEL …]` (default: what ships in models/).
 *
 * Each model is opened by both as it lies there: ids of ten prompts in its chat template and without, and 64 greedy tokens after each, have to be
 * the same. Then every tiny model of tests/golden is saved by Parley in f32 and bf16 and read by transformers, and adapters are saved by
 * Parley and read by PEFT; logits have to agree within 1e-4. $PYTHON (python3) needs torch, transformers and peft.
 */
import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { createInterface } from 'node:readline';
import { globSync } from 'node:fs';
import { Arena, ReferenceBackend } from '@parley/engine';
import { openGenerator } from '@parley/generate/node';
import { singleSequence, type Transformer } from '@parley/model';
import { listModels, loadAdapter, loadModel, saveAdapter, saveModel } from '@parley/model/node';
import { loadTokenizer } from '@parley/tokenizer/node';

const STEPS = 64;
const TEXTS = ['Hello! How are you?', 'Tell me a joke.', 'Translate into Chinese: I like apples.', 'What is the capital of France?', '你好！你是谁？', '把这句话翻译成英语：我喜欢你。', '天空为什么是蓝色的？', 'She said: "I don\'t know, but we\'ll see"', 'text 😀 and\n\n\ttabs', 'In 1984, the 3 engines cost $1,250.75;'];
const PROMPTS = [[3, 17, 0, 39], [7, 38, 2], [11]];

const python = spawn(process.env['PYTHON'] ?? 'python3', [join(import.meta.dirname, 'read_by_transformers.py')], { stdio: ['pipe', 'pipe', 'inherit'], env: { ...process.env, HF_HUB_OFFLINE: '1' } });
const lines = createInterface({ input: python.stdout })[Symbol.asyncIterator]();
async function ask<Answer>(question: object): Promise<Answer> {
  python.stdin.write(`${JSON.stringify(question)}\n`);
  const { value, done } = await lines.next();
  if (done === true) throw new Error('python ended: does it have torch, transformers and peft?');
  return JSON.parse(value) as Answer;
}

let faults = 0;
function report(what: string, good: boolean, more: string): void {
  if (!good) faults++;
  process.stdout.write(`${good ? 'same' : 'DIFFERENT'}  ${what}: ${more}\n`);
}

async function logits(model: Transformer): Promise<Float32Array[]> {
  const all = [];
  for (const prompt of PROMPTS) {
    using arena = new Arena(model.backend);
    all.push(await model.forward({ arena, tape: null }, singleSequence(prompt)).read());
  }
  return all;
}

function compare(what: string, ours: readonly Float32Array[], theirs: readonly number[][]): void {
  const difference = ours.reduce((most, row, i) => row.reduce((sum, value, j) => Math.max(sum, Math.abs(value - (theirs[i]?.[j] ?? NaN))), most), 0);
  report(what, difference < 1e-4, `largest difference of logits ${difference.toExponential(1)}`);
}

process.stdout.write(`${await ask<string>({ ask: 'versions' })}\n`);
const names = process.argv.length > 2 ? process.argv.slice(2) : (await listModels()).filter(({ folder }) => folder.includes('/models/')).map(({ name }) => name);
for (const name of names) {
  await using generator = await openGenerator(name, { worker: false });
  const { folder } = generator.info;
  const tokenizer = await loadTokenizer(folder);
  const theirs = await ask<{ ids: number[]; plain: number[]; tokens: number[]; text: string }[]>({ ask: 'greedy', folder, prompts: TEXTS, steps: STEPS });
  let same = 0;
  for (const [i, text] of TEXTS.entries()) {
    const { ids = [], plain = [], tokens = [], text: written = '' } = theirs[i] ?? {};
    const { sequences } = await generator.generate({ messages: [{ role: 'user', content: text }] }, { maxNewTokens: STEPS, doSample: false, repetitionPenalty: 1, eosTokenId: [], skipSpecialTokens: false }).result();
    const own = sequences[0];
    const read = tokenizer.encodeChat([{ role: 'user', content: text }], { addGenerationPrompt: true }).join() === ids.join() && tokenizer.encode(text).join() === plain.join();
    report(`${name}, prompt ${i}`, read && own?.text === written, `${read ? 'ids and text' : 'ids'} of ${JSON.stringify(text)}`);
    for (const [step, token] of tokens.entries()) if (own?.tokens[step] === token) same++;
  }
  report(name, same === TEXTS.length * STEPS, `${same} of ${TEXTS.length * STEPS} greedy tokens`);
}

const work = await mkdtemp(join(tmpdir(), 'parley-transformers-'));
try {
  const backend = new ReferenceBackend();
  const golden = join(import.meta.dirname, '../../tests/golden');
  for (const config of globSync(join(golden, '{families,model}/*/config.json')).toSorted()) {
    const source = join(config, '..');
    const name = basename(source);
    if (name.startsWith('bert')) continue;
    for (const dtype of ['f32', 'bf16'] as const) {
      const folder = join(work, `${name}-${dtype}`);
      {
        using model = await loadModel(source, { backend });
        await saveModel(model, folder, { dtype });
      }
      using model = await loadModel(folder, { backend });
      compare(`${name} saved in ${dtype}`, await logits(model), await ask({ ask: 'logits', folder, prompts: PROMPTS }));
    }
  }
  for (const name of ['tiny-llama', 'tiny-gpt2']) {
    const folder = join(golden, 'model', name);
    const target = join(work, `${name}-adapter`);
    using model = await loadModel(folder, { backend });
    using adapter = await loadAdapter(join(golden, 'transformers', `${name}-adapter`), { backend, config: model.config });
    await saveAdapter(adapter, target, { config: model.config, baseModel: name });
    model.setAdapters([{ adapter, weight: 1 }]);
    compare(`an adapter for ${name}, saved by Parley, in PEFT`, await logits(model), await ask({ ask: 'logits', folder, adapter: target, prompts: PROMPTS }));
  }
} finally {
  await rm(work, { recursive: true });
  python.stdin.end();
}
process.exitCode = faults === 0 ? 0 : 1;
