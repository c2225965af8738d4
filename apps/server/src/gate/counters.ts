/** What happened at the door and how long answers took, for /metrics: counters and histograms in Prometheus' text format. */

type Labels = Readonly<Record<string, string>>;

const written = (labels: Labels): string => Object.entries(labels).map(([name, value]) => `${name}="${escapeLabel(value)}"`).join(',');
export const escapeLabel = (value: string): string => value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');

export class Counter {
  readonly #sums = new Map<string, number>();
  readonly #name: string;
  readonly #help: string;

  constructor(name: string, help: string) {
    this.#name = name;
    this.#help = help;
  }

  add(labels: Labels = {}, amount = 1): void {
    const key = written(labels);
    this.#sums.set(key, (this.#sums.get(key) ?? 0) + amount);
  }

  lines(): string[] {
    const sums = this.#sums.size === 0 ? [] : [...this.#sums].map(([labels, sum]) => `${this.#name}${labels === '' ? '' : `{${labels}}`} ${sum}`);
    return [`# HELP ${this.#name} ${this.#help}`, `# TYPE ${this.#name} counter`, ...sums];
  }
}

export class Histogram {
  readonly #series = new Map<string, { readonly counts: number[]; sum: number; count: number }>();
  readonly #name: string;
  readonly #help: string;
  readonly #bounds: readonly number[];

  constructor(name: string, help: string, bounds: readonly number[]) {
    this.#name = name;
    this.#help = help;
    this.#bounds = bounds;
  }

  observe(labels: Labels, value: number): void {
    const key = written(labels);
    const series = this.#series.get(key) ?? { counts: this.#bounds.map(() => 0), sum: 0, count: 0 };
    this.#series.set(key, series);
    series.sum += value;
    series.count++;
    const at = this.#bounds.findIndex((bound) => value <= bound);
    if (at >= 0) series.counts[at] = (series.counts[at] ?? 0) + 1;
  }

  lines(): string[] {
    const lines = [`# HELP ${this.#name} ${this.#help}`, `# TYPE ${this.#name} histogram`];
    for (const [labels, { counts, sum, count }] of this.#series) {
      let below = 0;
      for (const [i, bound] of this.#bounds.entries()) {
        below += counts[i] ?? 0;
        lines.push(`${this.#name}_bucket{${labels},le="${bound}"} ${below}`);
      }
      lines.push(`${this.#name}_bucket{${labels},le="+Inf"} ${count}`, `${this.#name}_sum{${labels}} ${sum}`, `${this.#name}_count{${labels}} ${count}`);
    }
    return lines;
  }
}

const SECONDS = [0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80, 160];
const TOKENS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000];

/** One set for each server. Names that begin with `vllm:` mean what they mean there. */
export class Counters {
  readonly requests = new Counter('parley:http_requests_total', 'Requests that were answered, by route and status.');
  readonly rateLimited = new Counter('parley:http_rate_limited_total', 'Requests refused for a rate limit, a budget, or a full queue.');
  readonly authFailures = new Counter('parley:auth_failures_total', 'Requests refused for who asked: no key, a wrong one, a scope it lacks, a wrong password.');
  readonly dropped = new Counter('parley:connections_dropped_total', 'Connections refused because there were as many as may be.');
  readonly finished = new Counter('vllm:request_success_total', 'Sequences that ended, by reason; abort: cut off.');
  readonly firstToken = new Histogram('vllm:time_to_first_token_seconds', 'From the request to its first token.', SECONDS);
  readonly betweenTokens = new Histogram('vllm:inter_token_latency_seconds', 'Between two tokens of one answer.', SECONDS);
  readonly whole = new Histogram('vllm:e2e_request_latency_seconds', 'From the request to its last token.', SECONDS);
  readonly promptTokens = new Histogram('vllm:request_prompt_tokens', 'Tokens of the prompt.', TOKENS);
  readonly answerTokens = new Histogram('vllm:request_generation_tokens', 'Tokens of the answer.', TOKENS);

  lines(): string[] {
    const { requests, rateLimited, authFailures, dropped, finished, firstToken, betweenTokens, whole, promptTokens, answerTokens } = this;
    return [requests, rateLimited, authFailures, dropped, finished, firstToken, betweenTokens, whole, promptTokens, answerTokens].flatMap((each) => each.lines());
  }
}
