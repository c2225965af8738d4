/**
 * Reading a prompt and decoding, SmolLM2-135M's shape in 4 bits, one stream: Parley's native and WebAssembly backends, llama.cpp
 * (node-llama-cpp) and ONNX Runtime in turn, in one process: `node bench/peers/inference.ts [PAIRS]` (5).
 *
 * llama.cpp and Parley load the same file, written by Parley: matrices in Q4_0, the table of embeddings, which makes the logits too, in
 * Q8_0; `parley_q4_...` is the same shape with the table in 4 bits as well. ONNX Runtime runs the same shape with the same bits
 * (onnx-llama.ts). Decoding is greedy from 16 tokens of context on, 64 tokens; of the prompt of 256 tokens all compute the last row's logits only.
 * Ratios are of runs of one round. PEER names a folder that holds the peers already.
 */
import { writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Arena, type Backend } from '@parley/engine';
import { createBackend } from '@parley/engine/node';
import type { Transformer } from '@parley/model';
import { loadModel, saveGguf } from '@parley/model/node';
import { tokenizerToGguf, trainTokenizer } from '@parley/tokenizer';
import { figure, machine, summarize } from '../harness.ts';
import { positions, randomModel, randomTokens, shapeConfig } from '../model-shape.ts';
import { onnxLlama } from './onnx-llama.ts';
import { openPeers } from './peer-folder.ts';

const PAIRS = Number(process.argv[2] ?? 5);
const SHAPE = 'smollm2-135m';
const CONTEXT = 16;
const TOKENS = 64;
const PROMPT = 256;
const threads = availableParallelism();
const config = shapeConfig(SHAPE);
const prompt = [...randomTokens(config, PROMPT)];

/** Milliseconds of reading the prompt, and of TOKENS steps of one token. */
interface Engine {
  readonly name: string;
  prefill(): Promise<number>;
  decode(): Promise<number>;
}

interface LlamaModule {
  getLlama(options: object): Promise<{ loadModel(options: object): Promise<{ createContext(options: object): Promise<{ getSequence(): LlamaSequence }> }> }>;
}
interface LlamaSequence {
  evaluate(tokens: number[], options: object): AsyncGenerator<number>;
  evaluateWithoutGeneratingNewTokens(tokens: number[]): Promise<void>;
  clearHistory(): Promise<void>;
}
interface OnnxTensor {
  readonly data: Float32Array;
}
interface OnnxModule {
  Tensor: new (type: string, data: ArrayBufferView | readonly number[], dims: readonly number[]) => OnnxTensor;
  InferenceSession: { create(path: string, options: object): Promise<{ run(feeds: object): Promise<Record<string, OnnxTensor>> }> };
}

function argmax(values: Float32Array): number {
  let best = 0;
  for (let i = 1; i < values.length; i++) if ((values[i] ?? 0) > (values[best] ?? 0)) best = i;
  return best;
}

function parley(name: string, model: Transformer, backend: Backend): Engine {
  const cache = model.createCache({ slots: 1, capacity: PROMPT + TOKENS });
  const arena = new Arena(backend);
  const step = async (tokens: readonly number[], past: number): Promise<number> => {
    arena.reset();
    const logits = model.forward({ arena, tape: null }, {
      tokens: Int32Array.from(tokens), positions: positions(past, tokens.length), sequences: [{ start: 0, length: tokens.length, slot: 0, past }], cache,
      logitRows: Int32Array.of(tokens.length - 1),
    });
    return argmax(await logits.read());
  };
  return {
    name,
    async prefill() {
      const start = performance.now();
      await step(prompt, 0);
      return performance.now() - start;
    },
    async decode() {
      let token = await step(prompt.slice(0, CONTEXT), 0);
      const start = performance.now();
      for (let i = 0; i < TOKENS; i++) token = await step([token], CONTEXT + i);
      return performance.now() - start;
    },
  };
}

async function llamaCpp(modulePath: string, modelPath: string): Promise<Engine> {
  const peer = (await import(pathToFileURL(modulePath).href)) as LlamaModule;
  const llama = await peer.getLlama({ gpu: false, build: 'never', logLevel: 'error', maxThreads: threads });
  const model = await llama.loadModel({ modelPath });
  const sequence = (await model.createContext({ contextSize: 512, batchSize: 512, threads })).getSequence();
  return {
    name: 'llama_cpp',
    async prefill() {
      await sequence.clearHistory();
      const start = performance.now();
      // The iterator gives its first token when the prompt's last logits are there.
      for await (const _ of sequence.evaluate(prompt, { temperature: 0, yieldEogToken: true })) break;
      return performance.now() - start;
    },
    async decode() {
      await sequence.clearHistory();
      let start = 0;
      let seen = 0;
      for await (const _ of sequence.evaluate(prompt.slice(0, CONTEXT), { temperature: 0, yieldEogToken: true })) {
        if (seen++ === 0) start = performance.now();
        if (seen > TOKENS) break;
      }
      return performance.now() - start;
    },
  };
}

async function onnxRuntime(modulePath: string, modelPath: string): Promise<Engine> {
  const { InferenceSession, Tensor } = createRequire(import.meta.url)(modulePath) as OnnxModule;
  const session = await InferenceSession.create(modelPath, { executionProviders: ['cpu'], intraOpNumThreads: threads, interOpNumThreads: 1, graphOptimizationLevel: 'all' });
  const { layers, keyValueHeads, headSize } = config;
  const step = async (tokens: readonly number[], past: number, cache: Readonly<Record<string, OnnxTensor>>): Promise<{ token: number; cache: Record<string, OnnxTensor> }> => {
    const total = past + tokens.length;
    const results = await session.run({
      ...cache, input_ids: new Tensor('int64', BigInt64Array.from(tokens, BigInt), [1, tokens.length]),
      seqlens_k: new Tensor('int32', Int32Array.of(total - 1), [1]), total_length: new Tensor('int32', Int32Array.of(total), []),
    });
    const { logits, ...present } = results;
    return {
      token: argmax(logits?.data ?? new Float32Array(1)),
      cache: Object.fromEntries(Object.entries(present).map(([name, tensor]) => [name.replace('present', 'past'), tensor])),
    };
  };
  const empty = Object.fromEntries(Array.from({ length: layers }, (_, layer) => ['key', 'value'].map((kind) => [
    `past_${kind}.${layer}`, new Tensor('float32', new Float32Array(0), [1, keyValueHeads, 0, headSize]),
  ] as const)).flat());
  return {
    name: 'onnx_runtime',
    async prefill() {
      const start = performance.now();
      await step(prompt, 0, empty);
      return performance.now() - start;
    },
    async decode() {
      let state = await step(prompt.slice(0, CONTEXT), 0, empty);
      const start = performance.now();
      for (let i = 0; i < TOKENS; i++) state = await step([state.token], CONTEXT + i, state.cache);
      return performance.now() - start;
    },
  };
}

await using peers = await openPeers(['node-llama-cpp@3.22.1', 'onnxruntime-node@1.30.0']);
const gguf = join(peers.work, 'random.q4_0.gguf');
const onnx = join(peers.work, 'random.onnx');
await writeFile(onnx, onnxLlama(config, 512));
await using native = await createBackend({ backend: 'native', threads });
await using wasm = await createBackend({ backend: 'wasm', threads });
{
  using random = randomModel(native, SHAPE, 'f32');
  const tokenizer = await trainTokenizer(['the cat sat on the mat and the rat ate the oats'], { vocabSize: 270 });
  await saveGguf(random, gguf, { dtype: 'q4_0', metadata: tokenizerToGguf(tokenizer, { vocabSize: config.vocabSize }) });
}
const engines = [
  await llamaCpp(peers.file('node-llama-cpp/dist/index.js'), gguf),
  parley('parley_native', await loadModel(gguf, { backend: native }), native),
  parley('parley_wasm', await loadModel(gguf, { backend: wasm }), wasm),
  parley('parley_q4_native', randomModel(native, SHAPE, 'q4'), native),
  await onnxRuntime(peers.file('onnxruntime-node'), onnx),
];

for (const work of ['prefill', 'decode'] as const) {
  const rates = new Map(engines.map(({ name }) => [name, [] as number[]]));
  for (let pair = -1; pair < PAIRS; pair++) { // the first warms up
    // Whoever comes after another has its memory to fetch again, so everyone comes after everyone.
    const first = (pair + 1) % engines.length;
    for (const engine of [...engines.slice(first), ...engines.slice(0, first)]) {
      const rate = (work === 'prefill' ? PROMPT : TOKENS) / ((await engine[work]()) / 1000);
      if (pair >= 0) rates.get(engine.name)?.push(rate);
      // Threads of the one before go to sleep.
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    process.stderr.write(`${work} ${pair + 1}: ${[...rates].map(([name, values]) => `${name} ${values.at(-1)?.toFixed(1)}`).join(', ')} tok/s\n`);
  }
  const of = (name: string): number[] => rates.get(name) ?? [];
  const ratio = (name: string): Record<string, number> =>
    figure(`${name}_to_llama_cpp`, summarize(of(name).map((value, i) => value / (of('llama_cpp')[i] ?? Number.NaN))));
  console.log(JSON.stringify({
    bench: `${work}-peers`, shape: SHAPE, threads, tokens: work === 'prefill' ? PROMPT : TOKENS, backend: native.description,
    ...Object.assign({}, ...engines.map(({ name }) => figure(`${name}_tokens_per_second`, summarize(of(name))))),
    ...Object.assign({}, ...['parley_native', 'parley_wasm', 'parley_q4_native'].map(ratio)), ...machine(),
  }));
}
await peers[Symbol.asyncDispose]();
process.exit();
