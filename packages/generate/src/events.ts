/** What a generation tells, in order, and how the events add up to the answer that is not streamed. */
import type { RandomState } from '@parley/engine';
import type { LogProbabilities } from './log-probabilities.ts';

/** Sequence `index` is answer number index mod R of prompt ⌊index / R⌋, R being numReturnSequences. */
export type GenerateEvent = StartEvent | TokenEvent | EndEvent | DoneEvent;

/** Once, first: what the prompts became. */
export interface StartEvent {
  readonly type: 'start';
  readonly prompts: readonly PromptInfo[];
}

export interface PromptInfo {
  /** The prompt as the model reads it. */
  readonly tokens: readonly number[];
  /** Messages of the conversation that were left out for lack of room (conversationOverflow: 'drop-oldest'). */
  readonly droppedMessages: number;
  /** Passing it as `seed` gives the same answers again. */
  readonly seed: number | RandomState;
}

/** A token was chosen. */
export interface TokenEvent {
  readonly type: 'token';
  readonly index: number;
  readonly token: number;
  /**
   * Text that is now certain: '' while a character is incomplete or text might become a stop string. The last token of a
   * sequence brings what was held back, so that the pieces add up to the sequence's text.
   */
  readonly text: string;
  readonly logProbabilities?: LogProbabilities;
}

/** A sequence is complete. */
export interface EndEvent {
  readonly type: 'end';
  readonly index: number;
  /** `stop`: the model ended its text, or a stop token or string was met. `length`: as many tokens as were asked for, or as fit. */
  readonly finishReason: FinishReason;
  /** The stop string or token id that ended it; null with `length`. */
  readonly stop: string | number | null;
  /** Beam search: the sum of log-probabilities over length^lengthPenalty. */
  readonly score?: number;
  /** Sampling: where the sequence's random numbers go on. */
  readonly randomState?: RandomState;
}

export type FinishReason = 'stop' | 'length';

/** Once, last. */
export interface DoneEvent {
  readonly type: 'done';
  readonly usage: Usage;
  readonly timings: Timings;
}

export interface Usage {
  /** Each prompt counted once. */
  readonly promptTokens: number;
  /** Of all sequences, end-of-text tokens included. */
  readonly completionTokens: number;
  /** Of the prompts' tokens, those whose keys and values were there already, from an earlier request. */
  readonly cachedTokens: number;
}

/** Times spent computing, not waiting for the reader of the events. */
export interface Timings {
  /** From the first prompt token to the first logits. */
  readonly prefillMs: number;
  readonly decodeMs: number;
  /** Tokens fed after the prompts, all sequences together, per second of decodeMs; 0 if there were none. */
  readonly tokensPerSecond: number;
}

export interface GeneratedSequence {
  readonly index: number;
  /** The text before a stop string. */
  readonly text: string;
  /** All generated tokens, the one that ended the sequence included. */
  readonly tokens: readonly number[];
  readonly finishReason: FinishReason;
  readonly stop: string | number | null;
  readonly score?: number;
  readonly randomState?: RandomState;
  /** Of each token, if asked for. */
  readonly logProbabilities?: readonly LogProbabilities[];
}

export interface GenerateResult {
  readonly prompts: readonly PromptInfo[];
  /** In the order of their index. */
  readonly sequences: readonly GeneratedSequence[];
  readonly usage: Usage;
  readonly timings: Timings;
}

/** The non-streaming answer: a fold over the streaming one. */
export async function collect(events: AsyncIterable<GenerateEvent>): Promise<GenerateResult> {
  let prompts: readonly PromptInfo[] = [];
  let done: DoneEvent | undefined;
  const parts = new Map<number, { text: string; tokens: number[]; logProbabilities: LogProbabilities[]; end?: EndEvent }>();
  const partOf = (index: number) => {
    const part = parts.get(index) ?? { text: '', tokens: [], logProbabilities: [] };
    parts.set(index, part);
    return part;
  };
  for await (const event of events) {
    switch (event.type) {
      case 'start':
        prompts = event.prompts;
        break;
      case 'token': {
        const part = partOf(event.index);
        part.text += event.text;
        part.tokens.push(event.token);
        if (event.logProbabilities) part.logProbabilities.push(event.logProbabilities);
        break;
      }
      case 'end':
        partOf(event.index).end = event;
        break;
      case 'done':
        done = event;
        break;
      default:
        event satisfies never;
    }
  }
  const sequences = [...parts].toSorted(([a], [b]) => a - b).map(([index, { text, tokens, logProbabilities, end }]) => {
    // A generation that does not reach its end throws, so every sequence has one.
    const { finishReason = 'length', stop = null, score, randomState } = end ?? {};
    return {
      index, text, tokens, finishReason, stop,
      ...(score !== undefined && { score }),
      ...(randomState && { randomState }),
      ...(logProbabilities.length > 0 && { logProbabilities }),
    };
  });
  const { usage = { promptTokens: 0, completionTokens: 0, cachedTokens: 0 }, timings = { prefillMs: 0, decodeMs: 0, tokensPerSecond: 0 } } = done ?? {};
  return { prompts, sequences, usage, timings };
}
