/** One streaming request with a stopwatch. Kept cheap, since it takes its time from the server that it measures. */
import { Agent, request as httpRequest } from 'node:http';
import type { Sample } from './numbers.ts';

/** As many connections as are wanted, kept: what is measured is answering, not connecting. */
export const newAgent = (): Agent => new Agent({ keepAlive: true, maxSockets: Infinity });

/** POSTs `body` and reads the events of its answer to the end. Never rejects: what fails is in the sample. */
export function timedRequest(url: string, { body, agent, signal }: { body: object; agent: Agent; signal?: AbortSignal }): Promise<Sample> {
  const text = JSON.stringify(body);
  const pieces: number[] = [];
  const counts = { promptTokens: 0, cachedTokens: 0, completionTokens: 0 };
  const sent = performance.now();
  return new Promise((resolve) => {
    const end = (error: string | null): void => resolve({ sent, pieces, ended: performance.now(), ...counts, error });
    const outgoing = httpRequest(url, {
      method: 'POST', agent, ...(signal && { signal }),
      headers: { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) },
    }, (response) => {
      let rest = '';
      let done = false;
      let failure: string | null = null;
      response.setEncoding('utf8');
      response.on('data', (packet: string) => {
        const now = performance.now();
        rest += packet;
        if (response.statusCode !== 200) return;
        const events = rest.split('\n\n');
        rest = events.pop() ?? '';
        for (const event of events) {
          if (!event.startsWith('data: ')) continue;
          if (event === 'data: [DONE]') done = true;
          else failure ??= read(event.slice(6), { now, pieces, counts });
        }
      });
      response.on('error', (error) => end(error.message));
      response.on('end', () => {
        if (response.statusCode !== 200) end(`${response.statusCode}: ${rest.slice(0, 200)}`);
        else end(failure ?? (done ? null : 'the stream ended without [DONE]'));
      });
    });
    outgoing.on('error', (error) => end(error.message));
    outgoing.end(text);
  });
}

interface Chunk {
  readonly choices?: readonly { readonly delta?: { readonly content?: string } }[];
  readonly usage?: { readonly prompt_tokens: number; readonly completion_tokens: number; readonly prompt_tokens_details?: { readonly cached_tokens: number } } | null;
  readonly error?: { readonly message: string };
}

interface Counts {
  promptTokens: number;
  cachedTokens: number;
  completionTokens: number;
}

/** Answers what the event says went wrong. */
function read(data: string, { now, pieces, counts }: { now: number; pieces: number[]; counts: Counts }): string | null {
  const { choices, usage, error } = JSON.parse(data) as Chunk;
  if (error) return error.message;
  if (choices?.[0]?.delta?.content) pieces.push(now);
  if (usage) {
    counts.promptTokens = usage.prompt_tokens;
    counts.completionTokens = usage.completion_tokens;
    counts.cachedTokens = usage.prompt_tokens_details?.cached_tokens ?? 0;
  }
  return null;
}

/** Asks for `path` every `everyMs` until `stop`; answers with the milliseconds each answer took, Infinity for one that failed. */
export function poll(url: string, { everyMs, agent }: { everyMs: number; agent: Agent }): { readonly latencies: number[]; stop(): void } {
  const latencies: number[] = [];
  const timer = setInterval(() => {
    const start = performance.now();
    const fail = (): number => latencies.push(Infinity);
    httpRequest(url, { agent }, (response) => {
      response.resume().on('end', () => latencies.push(response.statusCode === 200 ? performance.now() - start : Infinity)).on('error', fail);
    }).on('error', fail).end();
  }, everyMs);
  return { latencies, stop: () => clearInterval(timer) };
}
