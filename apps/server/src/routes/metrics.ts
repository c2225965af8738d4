/**
 * GET /metrics, in Prometheus' text format and under vLLM's names, so that its dashboards read it. Of models that are open; nothing of
 * what people say is in it.
 */
import type { SchedulerStats } from '@parley/generate';
import type { Hono } from 'hono';
import type { Environment } from '../app.ts';
import { escapeLabel } from '../gate/counters.ts';
import type { Gate } from '../gate/gate.ts';
import type { Models } from '../models.ts';

interface Metric {
  readonly name: string;
  readonly type: 'gauge' | 'counter';
  readonly help: string;
  readonly value: (stats: SchedulerStats) => number;
}

const METRICS: readonly Metric[] = [
  { name: 'vllm:num_requests_running', type: 'gauge', help: 'Sequences that are being answered.', value: (stats) => stats.running + stats.runningAlone },
  { name: 'vllm:num_requests_waiting', type: 'gauge', help: 'Requests that wait for a place.', value: (stats) => stats.waiting },
  { name: 'vllm:kv_cache_usage_perc', type: 'gauge', help: 'Share of the memory for keys and values in use, 0 to 1.', value: (stats) => (stats.kvPagesTotal === 0 ? 0 : stats.kvPagesUsed / stats.kvPagesTotal) },
  { name: 'vllm:prompt_tokens_total', type: 'counter', help: 'Tokens of prompts.', value: (stats) => stats.promptTokens },
  { name: 'vllm:generation_tokens_total', type: 'counter', help: 'Tokens of answers.', value: (stats) => stats.tokensGenerated },
  { name: 'vllm:prefix_cache_queries_total', type: 'counter', help: 'Tokens of prompts that were looked for in the prefix cache.', value: (stats) => stats.promptTokens },
  { name: 'vllm:prefix_cache_hits_total', type: 'counter', help: 'Tokens of prompts that were found there.', value: (stats) => stats.cachedTokens },
  { name: 'vllm:num_preemptions_total', type: 'counter', help: 'Times an answer lost its memory and was computed again.', value: (stats) => stats.preemptions },
  { name: 'parley:requests_finished_total', type: 'counter', help: 'Requests that reached their end.', value: (stats) => stats.finished },
  { name: 'parley:requests_aborted_total', type: 'counter', help: 'Requests whose reader left.', value: (stats) => stats.aborted },
  { name: 'parley:steps_total', type: 'counter', help: 'Forward passes of the batch.', value: (stats) => stats.steps },
];

export function metricRoutes(app: Hono<Environment>, models: Models, { counters, lifecycle }: Gate): void {
  app.get('/metrics', async (context) => {
    const all = await models.stats();
    const lines = METRICS.flatMap(({ name, type, help, value }) => [
      `# HELP ${name} ${help}`, `# TYPE ${name} ${type}`,
      ...all.map(({ id, stats }) => `${name}{model_name="${escapeLabel(id)}"} ${value(stats)}`),
    ]);
    lines.push('# HELP parley:http_requests_in_flight Requests whose answers have not ended.', '# TYPE parley:http_requests_in_flight gauge', `parley:http_requests_in_flight ${lifecycle.running}`);
    lines.push(...counters.lines());
    return context.text(`${lines.join('\n')}\n`, 200, { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' });
  });
}
