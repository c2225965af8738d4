/**
 * Whether llama.cpp and Parley agree on GGUF files: `node bench/peers/gguf-llama-cpp.ts [MODEL …]` (default: what ships in models/).
 *
 * Exports each model in F16, Q8_0 and Q4_0, has llama.cpp (node-llama-cpp) load the files, and compares the ids of ten prompts and 64 greedy
 * tokens after each. Where python3 can reach llama.cpp's library, llama.cpp quantizes the F16 file to its other types, Parley loads those, and
 * the two are compared again. In F16 all tokens have to be the same; quantized files are computed with activations rounded differently, so
 * for them the share of equal tokens is reported. Where two texts part, the line says how far apart the two tokens were.
 *
 * One thread each: on a busy machine, threads that wait for one another in a spin take all the time there is. The peer is installed into a temporary folder; PEER names one that holds it already.
 */
import { execFileSync } from 'node:child_process';
import { globSync } from 'node:fs';
import { access, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { openGenerator } from '@parley/generate/node';
import { listModels } from '@parley/model/node';
import { loadTokenizer } from '@parley/tokenizer/node';
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
}

async function compare(path: string, dtype: 'f32' | undefined): Promise<Agreement> {
  const tokenizer = await loadTokenizer(path);
  await using generator = await openGenerator(path, { ...(dtype && { dtype }), worker: false, threads: 1 });
  const model = await llama.loadModel({ modelPath: path });
  const context = await model.createContext({ contextSize: Math.min(512, generator.info.contextLength), threads: 1 });
  const sequence = context.getSequence();
  let [equalIds, equalTexts, equalTokens, tokens] = [0, 0, 0, 0];
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
        const odds = (id: number | undefined): string => (probabilities.get(id ?? -1) ?? 0).toFixed(5);
        process.stderr.write(`  ${basename(path)}: ${JSON.stringify(prompt)} parts at token ${step}: llama.cpp gives its own ${odds(token)} and Parley's ${odds(wanted)}\n`);
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
  return { file: basename(path), prompts: PROMPTS.length, equalIds, equalTexts, equalTokens, tokens };
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
  for (const name of names) {
    const stem = basename(name).replace(/\.gguf$/, '');
    for (const dtype of ['f16', 'q8_0', 'q4_0']) {
      const output = join(work, `${stem}.${dtype}.gguf`);
      await exportModel(name, { to: 'gguf', dtype, output });
      results.push(await compare(output, dtype === 'f16' ? 'f32' : undefined));
      process.stderr.write(`${JSON.stringify(results.at(-1))}\n`);
    }
    for (const file of await quantizeWithPeer(join(work, `${stem}.f16.gguf`))) {
      results.push(await compare(file, undefined));
      process.stderr.write(`${JSON.stringify(results.at(-1))}\n`);
    }
  }
  const exact = results.filter(({ file }) => file.endsWith('.f16.gguf'));
  if (exact.some(({ prompts, equalTexts, equalIds }) => equalTexts !== prompts || equalIds !== prompts)) process.exitCode = 1;
  console.log(JSON.stringify({ bench: 'gguf-llama-cpp', steps: STEPS, results, ...machine() }));
} finally {
  for (const name of await readdir(work)) await rm(join(work, name), { recursive: true });
  await rm(work, { recursive: true, force: true });
}
process.exit(process.exitCode);
