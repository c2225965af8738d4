/** A model's answer to a conversation as the page's tokens, with what is kept about it. Nothing is stored here. */
import type { GenerateOptions, LogProbabilities, Usage } from '@parley/generate';
import type { TalkParameters, TokenDetail } from '@parley/protocol';
import type { UsageHook } from '../gate/usage.ts';
import { generateOptions } from '../generation.ts';
import type { OpenModel, RemoteModel } from '../models.ts';
import { remoteParts } from './remote.ts';
import { rounded, RUNNERS_UP } from './tokens.ts';

export interface Turn {
  readonly role: 'system' | 'user' | 'assistant';
  readonly content: string;
}

export interface AnswerRequest {
  /** Ours, or one that another endpoint computes. */
  readonly model: OpenModel | RemoteModel;
  /** The branch, oldest first, ending with what is to be answered. */
  readonly turns: readonly Turn[];
  readonly parameters: TalkParameters;
  readonly seed: number;
  /** Whose turn it is, where requests wait for each other. */
  readonly queueKey: string;
  readonly signal: AbortSignal;
  readonly usage: UsageHook;
}

/** What is known about an answer so far; `finishReason` is null until the model ends it. */
export interface AnswerFacts {
  readonly finishReason: 'stop' | 'length' | null;
  readonly usage: Usage;
  readonly tokensPerSecond: number;
  readonly timeToFirstTokenMs: number | null;
  readonly droppedMessages: number;
}

/** A number for whoever did not choose one: the answer can be had again by it. */
export const freshSeed = (): number => crypto.getRandomValues(new Uint32Array(1))[0] ?? 0;

/** One answer being read: iterate the tokens; `facts()` is right at any time, also after the loop was aborted. */
export class Answer implements AsyncIterable<TokenDetail> {
  readonly #request: AnswerRequest;
  #finishReason: 'stop' | 'length' | null = null;
  #usage: Usage = { promptTokens: 0, completionTokens: 0, cachedTokens: 0 };
  #dropped = 0;
  #asked = 0;
  #first: number | null = null;
  #last = 0;

  constructor(request: AnswerRequest) {
    this.#request = request;
  }

  facts(): AnswerFacts {
    const { completionTokens } = this.#usage;
    const first = this.#first;
    const elapsed = first === null ? 0 : this.#last - first;
    return {
      finishReason: this.#finishReason, usage: this.#usage, droppedMessages: this.#dropped,
      // As the reader saw it: waiting between tokens counts, waiting for the first one does not.
      tokensPerSecond: completionTokens > 1 && elapsed > 0 ? Math.round((completionTokens - 1) / elapsed * 1e4) / 10 : 0,
      timeToFirstTokenMs: first === null ? null : Math.round(first - this.#asked),
    };
  }

  /** Throws what generation throws, and the signal's reason. */
  async *[Symbol.asyncIterator](): AsyncGenerator<TokenDetail, void> {
    const { model } = this.#request;
    this.#asked = performance.now();
    if ('provider' in model) yield* this.#remote(model);
    else yield* this.#local(model);
  }

  /** From another endpoint. What it costs is what it says, else what was counted here. */
  async *#remote(model: RemoteModel): AsyncGenerator<TokenDetail, void> {
    const { usage, signal } = this.#request;
    try {
      for await (const part of remoteParts(model, this.#request)) {
        signal.throwIfAborted();
        if ('tokens' in part) for (const token of part.tokens) yield this.#counted(token);
        else if ('usage' in part) this.#usage = part.usage;
        else this.#finishReason = part.finishReason;
      }
      this.#finishReason ??= 'stop';
    } finally {
      usage.add({ model: model.id, ...this.#usage });
    }
  }

  #counted(token: TokenDetail): TokenDetail {
    this.#last = performance.now();
    this.#first ??= this.#last;
    this.#usage = { ...this.#usage, completionTokens: this.#usage.completionTokens + 1 };
    return token;
  }

  async *#local(model: OpenModel): AsyncGenerator<TokenDetail, void> {
    const { turns, signal, usage } = this.#request;
    const events = usage.count(model.id, model.generator.generate({ messages: [...turns] }, optionsOf(model, this.#request)));
    for await (const event of events) {
      signal.throwIfAborted();
      switch (event.type) {
        case 'start': {
          const [prompt] = event.prompts;
          this.#dropped = prompt?.droppedMessages ?? 0;
          this.#usage = { ...this.#usage, promptTokens: prompt?.tokens.length ?? 0 };
          break;
        }
        case 'token':
          yield this.#counted([event.text, ...reported(event.logProbabilities, model)]);
          break;
        case 'end':
          this.#finishReason = event.finishReason;
          break;
        case 'done':
          this.#usage = event.usage;
          break;
        default:
          event satisfies never;
      }
    }
  }
}

/** The system prompt that was asked for takes the place of those in the branch. */
export function withSystem(turns: readonly Turn[], system: string | undefined): readonly Turn[] {
  if (system === undefined) return turns;
  const rest = turns.filter(({ role }) => role !== 'system');
  return system.trim() === '' ? rest : [{ role: 'system', content: system }, ...rest];
}

function optionsOf(model: OpenModel, { parameters, seed, queueKey, signal }: AnswerRequest): GenerateOptions {
  const { system: _, max_tokens: most, ...fields } = parameters;
  return {
    ...generateOptions(fields, model), ...(most !== undefined && { maxNewTokens: most }),
    seed, queueKey, signal, logProbabilities: RUNNERS_UP,
    // A long conversation goes on without its oldest turns, and the answer says without how many.
    conversationOverflow: 'drop-oldest', contextOverflow: 'stop',
  };
}

function reported(report: LogProbabilities | undefined, { tokenizer }: OpenModel): [number | null, TokenDetail[2]] {
  if (report === undefined) return [null, []];
  return [rounded(report.logProbability), report.top.map(({ token, logProbability }) => [tokenizer.decode([token], { skipSpecialTokens: false }), rounded(logProbability)] as const)];
}
