/**
 * Whether llama.cpp and Parley agree on GGUF files: `node bench/peers/gguf-llama-cpp.ts [MODEL …]` (default: what ships in models/).
 *
 * First small random models of every architecture that llama.cpp generates with, and tokenizers of every kind, so that no rotation, norm,
 * bias or merge is taken on trust. Then exports each model in F16, Q8_0 and Q4_0, has llama.cpp (node-llama-cpp) load the files, and compares the ids of ten prompts and 64 greedy
 * tokens after each. Where python3 can reach llama.cpp's library, llama.cpp quantizes the F16 file to its other types, Parley loads those, and
 * the two are compared again. In F16 all of a shipped model's tokens have to be the same; quantized files are computed with activations rounded differently, so
 * for them the share of equal tokens is reported. Where two texts part, the line says how far apart the two tokens were. Random models
 * are written in F32 and may part where two tokens are within 2% of each other.
 *
 * One thread each: on a busy machine, threads that wait for one another in a spin take all the time there is. The peer is installed into a temporary folder; PEER names one that holds it already.
 */
import { execFileSync } from 'node:child_process';
import { globSync } from 'node:fs';
import { access, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { Random, ReferenceBackend } from '@parley/engine';
import { openGenerator } from '@parley/generate/node';
import { gpt2Config, llamaConfig, Transformer, type TransformerConfig } from '@parley/model';
import { listModels, saveGguf } from '@parley/model/node';
import { Tokenizer, tokenizerToGguf, trainTokenizer } from '@parley/tokenizer';
import { loadTokenizer } from '@parley/tokenizer/node';
import { learnMerges, llamaStyle } from '../../packages/tokenizer/src/testing/kinds.ts';
import { exportModel } from '../../packages/parley/src/export.ts';
import { machine } from '../harness.ts';

const STEPS = 64;
const PROMPTS = [
  'Once upon a time', 'The little girl looked out of the window and', 'In 1984, the 3 engines cost $1,250.75;', 'Question: why is the sky blue?\nAnswer:',
  'def add(a, b):\n    return', 'Der schnelle braune Fuchs springt', '今日はいい天気ですね。', 'She said: "I don\'t know, but we\'ll see', 'The capital of France is', '    indented\n\n\ttext 😀 and',
];
/** What llama.cpp is asked to quantize to, by the numbers of its file types. */
const QUANTIZED: Readonly<Record<string, number>> = { Q4_0: 2, Q4_1: 3, Q8_0: 7, Q5_0: 8, Q5_1: 9, Q2_K: 10, Q3_K_M: 12, Q4_K_M: 15, Q5_K_M: 17, Q6_K: 18, BF16: 32 };

/** What is used of node-llama-cpp. */
interface Peer {
  getLlama(options: object): Promise<{ loadModel(options: object): Promise<PeerModel> }>;
}
interface PeerModel {
  tokenize(text: string, special?: boolean): number[];
  createContext(options: object): Promise<{ getSequence(): PeerSequence; dispose(): Promise<void> }>;
  dispose(): Promise<void>;
}
interface PeerSequence {
  evaluateWithMetadata(tokens: number[], metadata: object, options: object): AsyncGenerator<{ token: number; probabilities: Map<number, number> }>;
  clearHistory(): Promise<void>;
}

const work = await mkdtemp(join(tmpdir(), 'parley-gguf-'));
const peerFolder = process.env['PEER'] ?? work;
if (peerFolder === work) {
  await writeFile(join(work, 'package.json'), '{"private":true}');
  execFileSync('npm', ['install', '--ignore-scripts', '--no-audit', '--no-fund', 'node-llama-cpp@3.22.1'], { cwd: work, stdio: 'ignore' });
}
const peer = (await import(pathToFileURL(join(peerFolder, 'node_modules/node-llama-cpp/dist/index.js')).href)) as Peer;
const llama = await peer.getLlama({ gpu: false, build: 'never', logLevel: 'error' });

interface Agreement {
  readonly file: string;
  readonly prompts: number;
  /** Prompts whose ids are the same. */
  readonly equalIds: number;
  /** Prompts whose greedy tokens are all the same. */
  readonly equalTexts: number;
  /** Tokens before the first difference, of all that could be. */
  readonly equalTokens: number;
  readonly tokens: number;
  /** Where texts part: by how much of its probability llama.cpp's token was ahead of Parley's, at most. */
  readonly largestGap: number;
}

async function compare(path: string, { dtype, cache }: { dtype?: 'f32'; cache?: 'F32' } = {}): Promise<Agreement> {
  const tokenizer = await loadTokenizer(path);
  await using generator = await openGenerator(path, { ...(dtype && { dtype }), worker: false, threads: 1 });
  const model = await llama.loadModel({ modelPath: path });
  const context = await model.createContext({ contextSize: Math.min(512, generator.info.contextLength), threads: 1, ...(cache && { experimentalKvCacheKeyType: cache, experimentalKvCacheValueType: cache }) });
  const sequence = context.getSequence();
  let [equalIds, equalTexts, equalTokens, tokens, largestGap] = [0, 0, 0, 0, 0];
  for (const prompt of PROMPTS) {
    const ids = tokenizer.encode(prompt, { addSpecialTokens: false });
    const theirIds = model.tokenize(prompt);
    if (ids.join() === theirIds.join()) equalIds++;
    else process.stderr.write(`  ${basename(path)}: ids of ${JSON.stringify(prompt)}: ${ids.join(' ')} | llama.cpp ${theirIds.join(' ')}\n`);
    const input = tokenizer.encode(prompt);
    const { sequences } = await generator.generate({ tokens: input }, { maxNewTokens: STEPS, doSample: false, eosTokenId: [] }).result();
    const ours = sequences[0]?.tokens ?? [];
    await sequence.clearHistory();
    let step = 0;
    for await (const { token, probabilities } of sequence.evaluateWithMetadata(input, { probabilities: true }, { temperature: 0, yieldEogToken: true })) {
      const wanted = ours[step];
      if (token !== wanted) {
        const [theirs, own] = [token, wanted ?? -1].map((id) => probabilities.get(id) ?? 0) as [number, number];
        largestGap = Math.max(largestGap, (theirs - own) / theirs);
        process.stderr.write(`  ${basename(path)}: ${JSON.stringify(prompt)} parts at token ${step}: llama.cpp gives its own ${theirs.toFixed(5)} and Parley's ${own.toFixed(5)}\n`);
        break;
      }
      if (++step === ours.length) break;
    }
    equalTokens += step;
    tokens += ours.length;
    if (step === ours.length) equalTexts++;
  }
  await context.dispose();
  await model.dispose();
  return { file: basename(path), prompts: PROMPTS.length, equalIds, equalTexts, equalTokens, tokens, largestGap: Math.round(1e5 * largestGap) / 1e5 };
}

const TEXT = 'the cat sat on the mat and the rat ate the oats; a fat bat sat there too, and that was that. Then 12 other cats sat down as well. ';

/** Small, of the shapes that llama.cpp asks for, and with weights large enough that every part matters. */
function randomConfigs(vocabSize: number): Readonly<Record<string, TransformerConfig>> {
  const size = { vocabSize, contextLength: 128, hiddenSize: 64, heads: 4, keyValueHeads: 2, layers: 3, intermediateSize: 96 };
  const gemma = { activation: 'gelu_tanh', embeddingScale: Math.fround(Math.sqrt(64)), headSize: 32 } as const;
  return {
    gpt2: gpt2Config({ ...size, intermediateSize: 256, keyValueHeads: 4 }),
    llama: llamaConfig(size),
    'llama-biases-untied': llamaConfig({ ...size, tieEmbeddings: false, attentionBias: true, headSize: 32, ropeTheta: 500, normEpsilon: 1e-3 }),
    'llama-3-frequencies': llamaConfig({ ...size, ropeScaling: { type: 'llama3', factor: 8, lowFrequencyFactor: 1, highFrequencyFactor: 4, originalContext: 32 } }),
    'llama-linear': llamaConfig({ ...size, ropeScaling: { type: 'linear', factor: 4 } }),
    'llama-yarn': llamaConfig({ ...size, ropeScaling: { type: 'yarn', factor: 4, originalContext: 32, betaFast: 32, betaSlow: 1 } }),
    qwen2: llamaConfig({ ...size, family: 'qwen2', attentionBias: true, attentionOutputBias: false, tieEmbeddings: false }),
    qwen3: llamaConfig({ ...size, family: 'qwen3', queryKeyNorm: true, headSize: 32 }),
    gemma: llamaConfig({ ...size, ...gemma, family: 'gemma', keyValueHeads: 1 }),
    gemma3: llamaConfig({
      ...size, ...gemma, layers: 7, family: 'gemma3_text', attentionScale: 32 ** -0.5, queryKeyNorm: true, outputNorms: true, ropeTheta: 1e6, slidingRopeTheta: 10_000,
      slidingWindow: 16, slidingLayers: [true, true, true, true, true, false, true],
    }),
  };
}

/** Writes one F32 file for each random model, and returns their paths. */
async function randomFiles(): Promise<string[]> {
  const trained = await trainTokenizer([TEXT.repeat(4)], { vocabSize: 300 });
  const { pieces, merges } = learnMerges(TEXT, 80);
  const pieced = Tokenizer.fromJSON(llamaStyle(pieces, merges), { bos_token: '<s>', eos_token: '</s>', unk_token: '<unk>' });
  const backend = new ReferenceBackend();
  const files: string[] = [];
  for (const [kind, tokenizer] of [['bytes', trained], ['pieces', pieced]] as const) {
    for (const [name, config] of Object.entries(randomConfigs(tokenizer.vocabSize))) {
      if (kind === 'pieces' && !['llama', 'gemma'].includes(name)) continue;
      using model = Transformer.initialize(backend, config, new Random(7));
      const random = new Random(11);
      for (const [parameter, tensor] of model.parameters) {
        const center = parameter.endsWith('norm.weight') ? 1 : 0;
        tensor.write(Float32Array.from({ length: tensor.size }, () => center + 0.15 * random.normal()));
      }
      const path = join(work, `random-${name}-${kind}.f32.gguf`);
      await saveGguf(model, path, { dtype: 'f32', name, metadata: tokenizerToGguf(tokenizer, { vocabSize: config.vocabSize }) });
      files.push(path);
    }
  }
  return files;
}

/** The types that llama.cpp's own library makes of an F16 file; none where python3 cannot reach the library. */
async function quantizeWithPeer(source: string): Promise<string[]> {
  const library = globSync(join(peerFolder, 'node_modules/@node-llama-cpp/*/bins/*/libllama.*so')).find((path) => path.includes(`/${process.platform}-${process.arch}/`));
  if (library === undefined) return [];
  const files: string[] = [];
  for (const [type, id] of Object.entries(QUANTIZED)) {
    const target = source.replace('.gguf', `.by-llama-cpp.${type}.gguf`);
    try {
      execFileSync('python3', [fileURLToPath(new URL('gguf_quantize.py', import.meta.url)), library, source, target, String(id)], { stdio: 'ignore' });
      await access(target);
      files.push(target);
    } catch {
      process.stderr.write(`  llama.cpp does not quantize ${basename(source)} to ${type} here\n`);
    }
  }
  return files;
}

try {
  const asked = process.argv.slice(2);
  const names = asked.length > 0 ? asked : (await listModels()).filter(({ source }) => source === 'shipped').map(({ name }) => name);
  const results: Agreement[] = [];
  for (const file of await randomFiles()) {
    results.push(await compare(file, { dtype: 'f32', cache: 'F32' }));
    process.stderr.write(`${JSON.stringify(results.at(-1))}\n`);
  }
  for (const name of names) {
    const stem = basename(name).replace(/\.gguf$/, '');
    for (const dtype of ['f16', 'q8_0', 'q4_0']) {
      const output = join(work, `${stem}.${dtype}.gguf`);
      await exportModel(name, { to: 'gguf', dtype, output });
      results.push(await compare(output, dtype === 'f16' ? { dtype: 'f32' } : {}));
      process.stderr.write(`${JSON.stringify(results.at(-1))}\n`);
    }
    for (const file of await quantizeWithPeer(join(work, `${stem}.f16.gguf`))) {
      results.push(await compare(file));
      process.stderr.write(`${JSON.stringify(results.at(-1))}\n`);
    }
  }
  const differs = ({ file, prompts, equalTexts, equalIds, largestGap }: Agreement): boolean =>
    equalIds !== prompts || (file.endsWith('.f16.gguf') && equalTexts !== prompts) || (file.endsWith('.f32.gguf') && largestGap > 0.02);
  if (results.some(differs)) process.exitCode = 1;
  console.log(JSON.stringify({ bench: 'gguf-llama-cpp', steps: STEPS, results, ...machine() }));
} finally {
  for (const name of await readdir(work)) await rm(join(work, name), { recursive: true });
  await rm(work, { recursive: true, force: true });
}
process.exit(process.exitCode);
