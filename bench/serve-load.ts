/**
 * People on the server: `parley serve` in a process of its own, streaming clients over HTTP, and somebody who asks for /health all the
 * while. First N clients who each ask again as soon as they are answered (closed loop: what it can do), then arrivals of a Poisson process
 * at shares of what was found (open loop: what it is like to come when others are there; nobody waits for anybody to be answered).
 *
 * Each request has a prompt of its own of `--prompt-tokens` and draws `--tokens` tokens as the model's folder says; its ends of text are
 * forbidden, so that all answers are equally long. With `--shared-prefix` all begin with the same system message of so many tokens.
 * Clients run in this process and take processor time from the server, as a proxy on the same machine would.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Random } from '@parley/engine';
import { loadGenerationConfig, resolveModel } from '@parley/model/node';
import { loadTokenizer } from '@parley/tokenizer/node';
import { BACKEND_FLAGS, type Benchmark, type BenchRecord, machine } from './harness.ts';
import { newAgent, poll, timedRequest } from './load/client.ts';
import { type Bounds, percentiles, poissonArrivals, type Sample, type Summary, summarizeLoad } from './load/numbers.ts';
import { words } from './load/prompts.ts';
import { makeModel, startServer } from './load/server.ts';

/** Seconds of a closed loop that are not counted: until the places are taken and the code is warm. */
const WARM_SECONDS = 2;
const HEALTH_MS = 50;
/** Of the requests a second that 16 clients came to. */
const OPEN_SHARES = [0.5, 0.8];

interface Point extends Summary {
  readonly load: string;
  /** Milliseconds that /health took meanwhile. */
  readonly healthP50: number;
  readonly healthP99: number;
  /** Processors the server used; null where the system does not tell. */
  readonly processors: number | null;
}

export const benchmark: Benchmark = {
  name: 'serve-load',
  summary: 'people on `parley serve`: latencies, tokens a second and goodput of 1, 4, 16 and 64 clients, and of Poisson arrivals; --model or --shape with random weights',
  takes: ['model', 'shape', 'dtype', 'tokens', 'clients', 'rate', 'seconds', 'promptTokens', 'sharedPrefix', 'ttft', 'tpot', ...BACKEND_FLAGS],
  async run(options) {
    const { model = 'parley-mini', shape, tokens = 64, clients = [1, 4, 16, 64], seconds = 15, promptTokens = 32, sharedPrefix = 0 } = options;
    const bounds: Bounds = { ttftMs: options.ttft ?? 1000, tpotMs: options.tpot ?? 100 };
    await using made = shape === undefined ? null : await makeModel(shape);
    const folder = made?.folder ?? await resolveModel(model);
    const tokenizer = await loadTokenizer(folder);
    const { eosTokenIds } = await loadGenerationConfig(folder);
    const endings = new Set([...eosTokenIds, ...(tokenizer.eosTokenId === undefined ? [] : [tokenizer.eosTokenId])]);
    const flag = (name: string, value: string | number | undefined): string[] => (value === undefined ? [] : [`--${name}`, String(value)]);
    await using server = await startServer([
      '--model', folder, ...flag('dtype', options.dtype), ...flag('threads', options.threads), ...(options.backend === 'auto' ? [] : flag('backend', options.backend)),
    ]);
    const agent = newAgent();
    const prefix = words(sharedPrefix, new Random(1), tokenizer);
    let asked = 0;
    const ask = (): Promise<Sample> => {
      const content = words(promptTokens, new Random([7, 0, 0, ++asked]), tokenizer);
      return timedRequest(`${server.url}/v1/chat/completions`, {
        agent,
        body: {
          model: 'default', stream: true, stream_options: { include_usage: true }, max_tokens: tokens, seed: asked,
          messages: [...(sharedPrefix > 0 ? [{ role: 'system', content: prefix }] : []), { role: 'user', content }],
          logit_bias: Object.fromEntries([...endings].map((token) => [token, -100])),
        },
      });
    };
    await Promise.all([ask(), ask()]); // loads, compiles, warms

    const measure = async (load: string, work: (samples: Sample[]) => Promise<readonly [number, number]>): Promise<Point> => {
      const samples: Sample[] = [];
      const health = poll(`${server.url}/health`, { everyMs: HEALTH_MS, agent });
      const [start, used] = [performance.now(), await server.cpuSeconds()];
      const window = await work(samples);
      health.stop();
      const usedAfter = await server.cpuSeconds();
      const { p50, p99 } = percentiles(health.latencies);
      const processors = used === null || usedAfter === null ? null : (usedAfter - used) / ((performance.now() - start) / 1000);
      const failed = samples.find(({ error }) => error !== null);
      if (failed) process.stderr.write(`${load}: ${failed.error}\n`);
      return { load, ...summarizeLoad(samples, { window, bounds }), healthP50: p50, healthP99: p99, processors };
    };
    const closed = (count: number): Promise<Point> => measure(`${count} client${count === 1 ? '' : 's'}`, async (samples) => {
      const from = performance.now() + WARM_SECONDS * 1000;
      const to = from + seconds * 1000;
      await Promise.all(Array.from({ length: count }, async () => {
        while (performance.now() < to) samples.push(await ask());
      }));
      return [from, to];
    });
    const open = (rate: number, seed: number): Promise<Point> => measure(`${rate.toPrecision(2)} a second`, async (samples) => {
      const from = performance.now();
      const coming = poissonArrivals({ rate, seconds, seed }).map(async (at) => {
        await sleep(from + at - performance.now());
        samples.push(await ask());
      });
      await Promise.all(coming);
      return [from, from + seconds * 1000];
    });

    const points: Point[] = [];
    for (const count of clients) points.push(await closed(count));
    const most = points.find(({ load }) => load === '16 clients') ?? points.at(-1);
    const rates = options.rate ?? OPEN_SHARES.map((share) => share * (most?.requestsPerSecond ?? 1));
    for (const [i, rate] of rates.entries()) points.push(await open(rate, i + 1));
    agent.destroy();
    process.stderr.write(`${table(points, bounds)}\n`);
    const alone = points.find(({ load }) => load === '1 client')?.tokensPerSecond;
    return {
      bench: 'serve-load', model: shape ?? model, random_weights: shape !== undefined, dtype: options.dtype ?? 'f32', backend: options.backend,
      threads: options.threads ?? 'default', prompt_tokens: promptTokens, shared_prefix_tokens: sharedPrefix, tokens, seconds,
      goodput_bounds_ms: { ttft: bounds.ttftMs, tpot: bounds.tpotMs },
      loads: points.map((point) => ({ ...rounded(point), ...(alone !== undefined && { times_one: round(point.tokensPerSecond / alone) }) })),
      ...machine(),
    } satisfies BenchRecord;
  },
};

const round = (value: number): number => Number(value.toPrecision(4));

function rounded(value: object): Record<string, unknown> {
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [
    key.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
    typeof inner === 'number' ? round(inner) : typeof inner === 'object' && inner !== null ? rounded(inner as object) : (inner as unknown),
  ]));
}

/** In Markdown, as it stands in docs/performance.md. */
function table(points: readonly Point[], { ttftMs, tpotMs }: Bounds): string {
  const ms = (value: number): string => (value >= 100 ? value.toFixed(0) : value.toFixed(1));
  const three = ({ p50, p95, p99 }: Summary['ttft']): string => [p50, p95, p99].map(ms).join(' / ');
  const alone = points.find(({ load }) => load === '1 client')?.tokensPerSecond;
  const rows = points.map((point) => [
    point.load, `${point.requests}${point.errors > 0 ? ` (${point.errors} failed)` : ''}`,
    `${point.tokensPerSecond.toFixed(0)}${alone === undefined ? '' : ` (${(point.tokensPerSecond / alone).toFixed(2)}×)`}`,
    three(point.ttft), three(point.tpot), three(point.interToken), three(point.endToEnd), `${(100 * point.goodput).toFixed(0)}%`, `${ms(point.healthP50)} / ${ms(point.healthP99)}`,
  ]);
  const head = [
    'load', 'requests', 'tokens/s', 'first token, ms', 'each further token, ms', 'between texts, ms', 'whole answer, ms', `within ${ttftMs} and ${tpotMs} ms`, '/health p50 / p99, ms',
  ];
  return [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}
