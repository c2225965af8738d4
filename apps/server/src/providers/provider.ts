/**
 * A model of another endpoint that speaks OpenAI's API: requests go on to it as they came, answers come back as they are, and what is
 * changed on the way is the model's name, the key, and errors. Nothing is computed here.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { ApiError } from '@parley/protocol';
import { EventReader } from './events.ts';
import { codeOf, cutOff, fromAnswer, fromEvent, notUnderstood, type Place, timedOut, unreachable } from './failures.ts';
import type { ProviderSettings } from './settings.ts';

/** Connections that did not come about: nothing was sent. */
const NOT_CONNECTED = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH', 'UND_ERR_CONNECT_TIMEOUT']);
const RETRY_MS = 200;
/** A list of models is asked for when somebody lists ours, and nobody waits for it long. */
const LIST_MS = 3000;
const LIST_KEPT_MS = 60_000;

/** An object of JSON, as another server wrote it. */
export type Body = Readonly<Record<string, unknown>>;

/** Of a streamed answer: a chunk, or a sign of life. */
export type Part = { readonly chunk: Body } | { readonly comment: string };

export class Provider {
  readonly name: string;
  readonly #settings: ProviderSettings;
  #list: { readonly at: number; readonly models: Promise<readonly string[]> } | undefined;

  constructor(settings: ProviderSettings) {
    this.name = settings.name;
    this.#settings = settings;
  }

  get #place(): Place {
    return this.#settings;
  }

  /** What a model of ours is called there; undefined where the configuration offers others only. */
  modelThere(name: string): string | undefined {
    const { models } = this.#settings;
    if (models === undefined) return name;
    return Object.hasOwn(models, name) ? models[name] : undefined;
  }

  /** What it is called here. Servers answer with names of their own (a dated one, a path): those stay as they are. */
  modelHere(name: string): string {
    const named = Object.entries(this.#settings.models ?? {}).find(([, there]) => there === name)?.[0];
    return `${this.name}/${named ?? name}`;
  }

  /** Names of its models here, without the provider's: those configured, or those it lists itself. One that does not answer has none. */
  async list(): Promise<readonly string[]> {
    const { models } = this.#settings;
    if (models !== undefined) return Object.keys(models);
    if (this.#list === undefined || performance.now() - this.#list.at > LIST_KEPT_MS) {
      const asked = this.#askList();
      this.#list = { at: performance.now(), models: asked };
      asked.catch(() => (this.#list = undefined));
    }
    return this.#list.models.catch(() => []);
  }

  async #askList(): Promise<readonly string[]> {
    await using answer = await this.#ask('/models', { method: 'GET', signal: AbortSignal.timeout(LIST_MS) });
    const { data } = this.#objectIn(await answer.text());
    if (!Array.isArray(data)) throw notUnderstood(this.#place);
    return data.flatMap((each: unknown) => (typeof each === 'object' && each !== null && 'id' in each && typeof each.id === 'string' ? [each.id] : []));
  }

  /** The whole answer. Throws ApiError. */
  async call(path: string, { body, signal }: { body: object; signal: AbortSignal }): Promise<Body> {
    await using answer = await this.#ask(path, { method: 'POST', body, signal });
    return this.#objectIn(await answer.text());
  }

  /** The chunks of a streamed answer, until its [DONE]; read only as fast as they are asked for. Leaving the loop ends the request there. Throws ApiError. */
  async *stream(path: string, { body, signal }: { body: object; signal: AbortSignal }): AsyncGenerator<Part, void> {
    await using answer = await this.#ask(path, { method: 'POST', body, signal });
    if (!answer.isEvents) throw notUnderstood(this.#place);
    const reader = new EventReader();
    for await (const piece of answer.pieces()) {
      for (const event of reader.push(piece)) {
        if ('comment' in event) {
          yield event;
          continue;
        }
        if (event.data === '[DONE]') return;
        const chunk = this.#objectIn(event.data);
        if ('error' in chunk) throw fromEvent(this.#place, chunk);
        yield { chunk };
      }
    }
    throw cutOff(this.#place);
  }

  /** An answer with status 200 whose body is still to come. Disposing of it ends the request. */
  async #ask(path: string, { method, body, signal }: { method: 'GET' | 'POST'; body?: object; signal: AbortSignal }): Promise<Answer> {
    const { baseUrl, key, retries, timeoutMs } = this.#settings;
    const watch = new Watch(signal, timeoutMs);
    const headers = { accept: 'application/json, text/event-stream', ...(body && { 'content-type': 'application/json' }), ...(key !== null && { authorization: `Bearer ${key}` }) };
    try {
      for (let attempt = 0; ; attempt++) {
        try {
          // A redirect would take the key elsewhere.
          const response = await fetch(`${baseUrl}${path}`, { method, headers, signal: watch.signal, redirect: 'manual', ...(body && { body: JSON.stringify(body) }) });
          const answer = new Answer(response, watch, (error) => this.#failure(error, watch, signal));
          if (response.status === 200) return answer;
          throw fromAnswer(this.#place, { status: response.status, headers: response.headers, body: await answer.text() });
        } catch (error) {
          if (watch.signal.aborted || !NOT_CONNECTED.has(codeOf(error) ?? '') || attempt === retries) throw this.#failure(error, watch, signal);
          await sleep(RETRY_MS * 2 ** attempt, undefined, { signal: watch.signal }).catch((stopped: unknown) => {
            throw this.#failure(stopped, watch, signal);
          });
        }
      }
    } catch (error) {
      watch.end();
      throw error;
    }
  }

  #objectIn(text: string): Body {
    try {
      const value: unknown = JSON.parse(text);
      if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Body;
    } catch {
      // told below
    }
    throw notUnderstood(this.#place);
  }

  /** The caller's own abort stays what it is. */
  #failure(error: unknown, watch: Watch, signal: AbortSignal): unknown {
    if (signal.aborted) return signal.reason;
    if (watch.silent) return timedOut(this.#place, this.#settings.timeoutMs);
    if (error instanceof ApiError) return error;
    return NOT_CONNECTED.has(codeOf(error) ?? '') ? unreachable(this.#place, error) : cutOff(this.#place, error);
  }
}

/** Aborts a request when its caller does, or when nothing has come for too long. */
class Watch {
  readonly #controller = new AbortController();
  readonly #milliseconds: number;
  readonly #caller: AbortSignal;
  readonly #leave = (): void => this.#controller.abort(this.#caller.reason);
  #timer: NodeJS.Timeout | undefined;
  silent = false;

  constructor(caller: AbortSignal, milliseconds: number) {
    this.#caller = caller;
    this.#milliseconds = milliseconds;
    if (caller.aborted) this.#leave();
    caller.addEventListener('abort', this.#leave, { once: true });
    this.heard();
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Something came, or is asked for: the silence begins anew. */
  heard(): void {
    this.quiet();
    this.#timer = setTimeout(() => {
      this.silent = true;
      this.#controller.abort();
    }, this.#milliseconds);
  }

  /** Nobody waits for it now. */
  quiet(): void {
    clearTimeout(this.#timer);
  }

  end(): void {
    this.quiet();
    this.#caller.removeEventListener('abort', this.#leave);
    this.#controller.abort();
  }
}

class Answer implements AsyncDisposable {
  readonly #response: Response;
  readonly #watch: Watch;
  readonly #failure: (error: unknown) => unknown;

  constructor(response: Response, watch: Watch, failure: (error: unknown) => unknown) {
    this.#response = response;
    this.#watch = watch;
    this.#failure = failure;
  }

  get isEvents(): boolean {
    return /^text\/event-stream\b/i.test(this.#response.headers.get('content-type') ?? '');
  }

  /** Its text as it comes. A reader who takes their time is no silence of the provider's. */
  async *pieces(): AsyncGenerator<string, void> {
    const { body } = this.#response;
    if (body === null) return;
    const reader = (body as ReadableStream<Uint8Array>).getReader();
    const decoder = new TextDecoder();
    try {
      for (;;) {
        this.#watch.heard();
        const { value, done } = await reader.read();
        this.#watch.quiet();
        if (done) return;
        yield decoder.decode(value, { stream: true });
      }
    } catch (error) {
      throw this.#failure(error);
    }
  }

  async text(): Promise<string> {
    let text = '';
    for await (const piece of this.pieces()) text += piece;
    return text;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#watch.end();
    await this.#response.body?.cancel().catch(() => {});
  }
}
