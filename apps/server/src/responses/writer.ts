/**
 * A response as it comes into being: events of generation in, the typed events of the Responses API out. The response that is not
 * streamed is the one in the last event.
 */
import type { LogProbabilities } from '@parley/generate';
import type { ResponseEvent, ResponseFunctionCall, ResponseLogprob, ResponseMessage, ResponseObject, ResponseOutputItem, ResponseText, ResponseUsage } from '@parley/protocol';
import type { Piece } from '../tools/call-parser.ts';
import type { ToldEvent } from '../tools/told.ts';
import { newItemId } from './items.ts';

/** What is known of a response before it is answered. */
export type ResponseHead = Omit<ResponseObject, 'status' | 'completed_at' | 'error' | 'incomplete_details' | 'output' | 'usage'>;

type Open = { -readonly [Key in keyof ResponseFunctionCall]: ResponseFunctionCall[Key] } | { type: 'message'; id: string; text: string; logprobs: ResponseLogprob[] };

export interface WriterParts {
  readonly head: ResponseHead;
  readonly describe: (token: number, probabilities: LogProbabilities) => ResponseLogprob;
  /** Called with the finished response before it is told. */
  readonly keep: (response: ResponseObject) => Promise<void>;
}

export class ResponseWriter {
  readonly #parts: WriterParts;
  readonly #output: ResponseOutputItem[] = [];
  #open: Open | null = null;
  /** Log-probabilities of tokens whose text is still held back. */
  #waiting: ResponseLogprob[] = [];
  #usage: ResponseUsage | undefined;
  #begun = false;

  constructor(parts: WriterParts) {
    this.#parts = parts;
  }

  /** Something has been told: what fails now is told as well. */
  get begun(): boolean {
    return this.#begun;
  }

  async *write(events: AsyncIterable<ToldEvent>): AsyncGenerator<ResponseEvent, void> {
    let cut = false;
    for await (const event of events) {
      // Not before generation has begun: what is wrong with a request is an answer with a status.
      if (!this.#begun) {
        this.#begun = true;
        yield { type: 'response.created', response: this.#response('in_progress') };
        yield { type: 'response.in_progress', response: this.#response('in_progress') };
      }
      if (event.type === 'done') {
        const { promptTokens, completionTokens, cachedTokens } = event.usage;
        this.#usage = {
          input_tokens: promptTokens, input_tokens_details: { cached_tokens: cachedTokens, cache_write_tokens: 0 }, output_tokens: completionTokens,
          output_tokens_details: { reasoning_tokens: 0 }, total_tokens: promptTokens + completionTokens,
        };
        continue;
      }
      if (event.type === 'token' && event.logProbabilities !== undefined) this.#waiting.push(this.#parts.describe(event.token, event.logProbabilities));
      for (const piece of event.pieces) yield* this.#piece(piece);
      if (event.type === 'end') {
        cut = event.finishReason === 'length';
        // Nothing said and nothing called is an empty message.
        if (this.#open === null && this.#output.length === 0) yield* this.#openMessage();
        yield* this.#close(cut ? 'incomplete' : 'completed');
      }
    }
    const response = this.#response(cut ? 'incomplete' : 'completed');
    await this.#parts.keep(response);
    yield { type: cut ? 'response.incomplete' : 'response.completed', response };
  }

  failed(error: NonNullable<ResponseObject['error']>): ResponseEvent {
    return { type: 'response.failed', response: { ...this.#response('failed'), error } };
  }

  #response(status: ResponseObject['status']): ResponseObject {
    return {
      ...this.#parts.head, status, completed_at: status === 'completed' ? Math.floor(Date.now() / 1000) : null, error: null,
      incomplete_details: status === 'incomplete' ? { reason: 'max_output_tokens' } : null, output: [...this.#output],
      ...(this.#usage && { usage: this.#usage }),
    };
  }

  *#piece(piece: Piece): Generator<ResponseEvent> {
    switch (piece.type) {
      case 'text': {
        if (this.#open === null) yield* this.#openMessage();
        if (this.#open?.type !== 'message') return;
        const { id, logprobs } = this.#open;
        this.#open.text += piece.text;
        const now = this.#taken();
        logprobs.push(...now);
        yield { type: 'response.output_text.delta', item_id: id, output_index: this.#output.length, content_index: 0, delta: piece.text, logprobs: now };
        return;
      }
      case 'call': {
        if (this.#open !== null) yield* this.#close('completed');
        this.#open = { type: 'function_call', id: newItemId('fc'), call_id: newItemId('call'), name: piece.name, arguments: '', status: 'in_progress' };
        yield { type: 'response.output_item.added', output_index: this.#output.length, item: { ...this.#open } };
        return;
      }
      case 'arguments': {
        this.#taken(); // of text only
        if (this.#open?.type !== 'function_call') return;
        this.#open.arguments += piece.text;
        yield { type: 'response.function_call_arguments.delta', item_id: this.#open.id, output_index: this.#output.length, delta: piece.text };
        return;
      }
      default: piece satisfies never;
    }
  }

  *#openMessage(): Generator<ResponseEvent> {
    const id = newItemId('msg');
    this.#open = { type: 'message', id, text: '', logprobs: [] };
    yield { type: 'response.output_item.added', output_index: this.#output.length, item: { type: 'message', id, role: 'assistant', status: 'in_progress', content: [] } };
    yield { type: 'response.content_part.added', item_id: id, output_index: this.#output.length, content_index: 0, part: { type: 'output_text', text: '', annotations: [], logprobs: [] } };
  }

  *#close(status: 'completed' | 'incomplete'): Generator<ResponseEvent> {
    const open = this.#open;
    if (open === null) return;
    this.#open = null;
    const output_index = this.#output.length;
    if (open.type === 'function_call') {
      const item: ResponseFunctionCall = { ...open, status };
      yield { type: 'response.function_call_arguments.done', item_id: item.id, output_index, name: item.name, arguments: item.arguments };
      this.#output.push(item);
      yield { type: 'response.output_item.done', output_index, item };
      return;
    }
    const { id, text } = open;
    const logprobs = [...open.logprobs, ...this.#taken()];
    const part: ResponseText = { type: 'output_text', text, annotations: [], logprobs };
    const item: ResponseMessage = { type: 'message', id, role: 'assistant', status, content: [part] };
    yield { type: 'response.output_text.done', item_id: id, output_index, content_index: 0, text, logprobs };
    yield { type: 'response.content_part.done', item_id: id, output_index, content_index: 0, part };
    this.#output.push(item);
    yield { type: 'response.output_item.done', output_index, item };
  }

  #taken(): ResponseLogprob[] {
    const taken = this.#waiting;
    this.#waiting = [];
    return taken;
  }
}
