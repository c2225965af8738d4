/** Events of generation as what is told of them: text, and calls of functions. Chat and responses write the same events differently. */
import { ConstraintError, type FinishReason, type GenerateEvent, type LogProbabilities, type Usage } from '@parley/generate';
import { invalidRequest } from '@parley/protocol';
import type { Tokenizer } from '@parley/tokenizer';
import { CallParser, type Piece } from './call-parser.ts';
import type { ToolPlan } from './plan.ts';

export type ToldEvent =
  /** A token, and what is certain with it: nothing, or several pieces. */
  | { readonly type: 'token'; readonly index: number; readonly token: number; readonly pieces: readonly Piece[]; readonly logProbabilities?: LogProbabilities | undefined }
  | { readonly type: 'end'; readonly index: number; readonly pieces: readonly Piece[]; readonly finishReason: FinishReason | 'tool_calls' }
  | { readonly type: 'done'; readonly usage: Usage };

/** `plan`: null where nothing may be called, and all is text. Throws what generation throws. */
export async function* told(events: AsyncIterable<GenerateEvent>, plan: ToolPlan | null, tokenizer: Tokenizer): AsyncGenerator<ToldEvent, void> {
  const parsers = new Map<number, CallParser>();
  const parserOf = (index: number): CallParser | null => {
    if (plan === null) return null;
    let parser = parsers.get(index);
    if (parser === undefined) parsers.set(index, (parser = new CallParser(plan.form, plan.names)));
    return parser;
  };
  const marks = plan === null ? new Map<number, string>() : marksOf(plan, tokenizer);
  try {
    for await (const event of events) {
      switch (event.type) {
        case 'start': break;
        case 'token': {
          const { index, token, logProbabilities } = event;
          const text = event.text + (marks.get(token) ?? '');
          const parser = parserOf(index);
          const pieces = parser === null ? (text === '' ? [] : [{ type: 'text' as const, text }]) : parser.push(text);
          yield { type: 'token', index, token, pieces, logProbabilities };
          break;
        }
        case 'end': {
          const { index, finishReason } = event;
          const parser = parserOf(index);
          const pieces = parser?.flush() ?? [];
          yield { type: 'end', index, pieces, finishReason: finishReason === 'stop' && (parser?.calls ?? 0) > 0 ? 'tool_calls' : finishReason };
          break;
        }
        case 'done':
          yield { type: 'done', usage: event.usage };
          break;
        default: event satisfies never;
      }
    }
  } catch (error) {
    if (plan !== null && error instanceof ConstraintError && error.message.startsWith('the function ')) {
      throw invalidRequest(`Invalid schema of ${error.message}`, 'tools', 'invalid_function_parameters');
    }
    throw error;
  }
}

/** Special tokens that a form of calls is written with: they have no text of their own in events. */
function marksOf({ form }: ToolPlan, tokenizer: Tokenizer): Map<number, string> {
  const written = [form.trigger, form.open, form.begin(''), form.end, form.separator, form.close].join('\n');
  return new Map([...tokenizer.specialTokens].flatMap(([content, token]) => (content !== '' && written.includes(content) ? [[token, content] as const] : [])));
}

export interface ToldCall {
  readonly name: string;
  readonly arguments: string;
}

export interface ToldAnswer {
  readonly index: number;
  readonly text: string;
  readonly calls: readonly ToldCall[];
  readonly tokens: readonly number[];
  readonly finishReason: FinishReason | 'tool_calls';
  readonly logProbabilities?: readonly LogProbabilities[];
}

/** The answers that are not streamed: a fold over those that are. */
export async function foldTold(events: AsyncIterable<ToldEvent>): Promise<{ answers: readonly ToldAnswer[]; usage: Usage }> {
  const parts = new Map<number, { text: string; calls: { name: string; arguments: string }[]; tokens: number[]; logProbabilities: LogProbabilities[]; finishReason: FinishReason | 'tool_calls' }>();
  let usage: Usage = { promptTokens: 0, completionTokens: 0, cachedTokens: 0 };
  for await (const event of events) {
    if (event.type === 'done') {
      usage = event.usage;
      continue;
    }
    const part = parts.get(event.index) ?? { text: '', calls: [], tokens: [], logProbabilities: [], finishReason: 'length' };
    parts.set(event.index, part);
    for (const piece of event.pieces) {
      if (piece.type === 'text') part.text += piece.text;
      else if (piece.type === 'call') part.calls.push({ name: piece.name, arguments: '' });
      else {
        const call = part.calls[piece.call];
        if (call !== undefined) call.arguments += piece.text;
      }
    }
    if (event.type === 'end') part.finishReason = event.finishReason;
    else {
      part.tokens.push(event.token);
      if (event.logProbabilities) part.logProbabilities.push(event.logProbabilities);
    }
  }
  const answers = [...parts].toSorted(([a], [b]) => a - b).map(([index, { logProbabilities, ...part }]) => ({ index, ...part, ...(logProbabilities.length > 0 && { logProbabilities }) }));
  return { answers, usage };
}
