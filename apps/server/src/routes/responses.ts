/** POST /v1/responses, and the responses that were kept: looked up, deleted, their input listed. */
import type { ConstraintSpec, GenerateOptions } from '@parley/generate';
import {
  ApiError, invalidRequest, parseRequest, type ResponseEvent, type ResponseInputList, type ResponseInputResource, type ResponseLogprob, type ResponseObject,
  type ResponseRequest, responseRequest, type ResponseTool, type ResponseToolChoice,
} from '@parley/protocol';
import type { Context, Hono } from 'hono';
import type { Environment } from '../app.ts';
import { generateOptions, renamed } from '../generation.ts';
import type { Models, OpenModel } from '../models.ts';
import { messagesOf, newItemId, resourcesOf } from '../responses/items.ts';
import { type ResponseHead, ResponseWriter } from '../responses/writer.ts';
import type { Store, StoredResponse } from '../store/types.ts';
import { eventStream, readBody } from '../stream.ts';
import { type FunctionChoice, planTools, type ToolPlan } from '../tools/plan.ts';
import { told } from '../tools/told.ts';
import { LEAST_LOGPROB, seconds } from '../wire.ts';

/** Of GET …/input_items, as OpenAI has it. */
const DEFAULT_ITEMS = 20;
const MOST_ITEMS = 100;

/** `store`: absent, nothing is kept, and every response stands alone. */
export function responseRoutes(app: Hono<Environment>, models: Models, store?: Store): void {
  app.post('/v1/responses', async (context) => {
    const request = parseRequest(responseRequest, await readBody(context));
    const model = await models.get(request.model);
    const { id: owner } = context.get('identity');
    const isKept = request.store ?? store !== undefined;
    if (isKept && store === undefined) throw invalidRequest("'store' is true, and this server keeps nothing: leave store out, or start it with --data", 'store', 'unsupported_value');
    if (request.stream_options && request.stream !== true) {
      throw invalidRequest("'stream_options' is about streams: pass 'stream': true with it", 'stream_options', 'invalid_value');
    }
    const before = await earlier(request, owner, store);
    const input = resourcesOf(request.input);
    const plan = planOf(request, model);
    const options = optionsOf(request, model, plan);
    const { instructions } = request;
    const messages = [...(typeof instructions === 'string' ? [{ role: 'system' as const, content: instructions }] : []), ...messagesOf([...before, ...input], before.length)];
    const head = headOf(request, { model, options, isKept });
    const keep = async (response: ResponseObject): Promise<void> => {
      if (isKept) await store?.responses.put(owner, { id: response.id, previousId: response.previous_response_id, input, response: { ...response } });
    };
    const writer = new ResponseWriter({ head, keep, describe: (token, probabilities) => logprobOf(token, probabilities, model) });
    const write = (signal: AbortSignal): AsyncGenerator<ResponseEvent> => {
      const events = model.generator.generate({ messages, ...(plan && { tools: plan.definitions }) }, { ...options, queueKey: owner, signal });
      return writer.write(told(context.get('usage').count(model.id, events), plan, model.tokenizer));
    };
    if (request.stream === true) return eventStream(context, (signal) => numbered(write(signal), writer, { signal, context }), { named: true });

    let last: ResponseEvent | undefined;
    try {
      for await (const event of write(context.get('signal'))) last = event;
    } catch (error) {
      throw renamed(error, NAMES);
    }
    return context.json(last !== undefined && 'response' in last ? last.response : {});
  });

  app.get('/v1/responses/:id', async (context) => {
    if (context.req.query('stream') === 'true') throw invalidRequest("'stream' is for responses that are still being written in the background, and none are: leave stream out", 'stream', 'unsupported_value');
    return context.json((await find(context, store)).response);
  });
  app.delete('/v1/responses/:id', async (context) => {
    const { id } = await find(context, store);
    await store?.responses.remove(context.get('identity').id, id);
    return context.json({ id, object: 'response', deleted: true });
  });
  app.post('/v1/responses/:id/cancel', async (context) => {
    await find(context, store);
    throw invalidRequest('Only responses in the background can be cancelled, and responses here are answered while you wait: close the connection instead.', 'response_id', 'unsupported_value');
  });
  app.get('/v1/responses/:id/input_items', async (context) => context.json(listed((await find(context, store)).input as readonly ResponseInputResource[], context)));
}

/** Throws ApiError 404. */
async function find(context: Context<Environment>, store: Store | undefined): Promise<StoredResponse> {
  const id = context.req.param('id') ?? '';
  const found = await store?.responses.get(context.get('identity').id, id);
  if (found) return found;
  const why = store === undefined ? 'this server keeps no responses' : 'it was not stored, was deleted, or its time is over';
  throw new ApiError(`Response with id '${id}' not found: ${why}.`, { status: 404, type: 'not_found_error', param: 'response_id', code: 'response_not_found' });
}

/** Items of the conversation that a request goes on from. Throws ApiError. */
async function earlier({ previous_response_id: id }: ResponseRequest, owner: string, store: Store | undefined): Promise<ResponseInputResource[]> {
  if (typeof id !== 'string') return [];
  if (store === undefined) {
    throw invalidRequest("'previous_response_id' goes on from a response that was kept, and this server keeps nothing: send the whole conversation as input, or start it with --data", 'previous_response_id', 'unsupported_value');
  }
  const chain = await store.responses.chain(owner, id);
  if (chain === null) throw invalidRequest(`Previous response with id '${id}' not found.`, 'previous_response_id', 'previous_response_not_found');
  return chain.flatMap(({ input, response }) => [...(input as readonly ResponseInputResource[]), ...(response as unknown as ResponseObject).output]);
}

function formatOf({ text }: ResponseRequest): ConstraintSpec | undefined {
  if (text?.format?.type === 'json_object') return { type: 'json' };
  return text?.format?.type === 'json_schema' ? { type: 'json_schema', schema: text.format.schema } : undefined;
}

function planOf(request: ResponseRequest, { tokenizer }: OpenModel): ToolPlan | null {
  const tools = request.tools ?? [];
  return planTools({ tools, choice: choiceOf(request.tool_choice, tools), parallel: request.parallel_tool_calls, text: formatOf(request) }, tokenizer.callForm);
}

function choiceOf(choice: ResponseToolChoice | null | undefined, tools: readonly ResponseTool[]): FunctionChoice {
  if (choice === null || choice === undefined) return { mode: tools.length === 0 ? 'none' : 'auto' };
  if (typeof choice === 'string') return { mode: choice };
  return choice.type === 'function' ? { mode: 'required', names: [choice.name] } : { mode: choice.mode, names: choice.tools.map(({ name }) => name) };
}

function optionsOf(request: ResponseRequest, model: OpenModel, plan: ToolPlan | null): GenerateOptions {
  const { temperature, top_p, top_k, min_p, repetition_penalty, seed } = request;
  const constraint = plan?.constraint ?? formatOf(request);
  const top = request.top_logprobs ?? 0;
  return {
    ...generateOptions({ temperature, top_p, top_k, min_p, repetition_penalty, seed }, model),
    ...(typeof request.max_output_tokens === 'number' && { maxNewTokens: request.max_output_tokens }),
    ...((top > 0 || (request.include?.length ?? 0) > 0) && { logProbabilities: top }),
    ...(request.truncation === 'auto' && { conversationOverflow: 'drop-oldest' as const }),
    ...(constraint && { constraint }),
  };
}

function headOf(request: ResponseRequest, { model, options, isKept }: { model: OpenModel; options: GenerateOptions; isKept: boolean }): ResponseHead {
  const { tools = [], text } = request;
  return {
    id: newItemId('resp'), object: 'response', created_at: seconds(), model: model.id, background: false, store: isKept,
    instructions: request.instructions ?? null, previous_response_id: request.previous_response_id ?? null,
    text: { format: text?.format ?? { type: 'text' } },
    tools: (tools ?? []).map(({ type, name, description, parameters, strict }) => ({ type, name, description: description ?? null, parameters: parameters ?? null, strict: strict ?? true })),
    tool_choice: request.tool_choice ?? 'auto', parallel_tool_calls: request.parallel_tool_calls ?? true,
    temperature: options.doSample === false ? 0 : options.temperature ?? 1, top_p: options.topP ?? 1, top_logprobs: request.top_logprobs ?? 0,
    max_output_tokens: request.max_output_tokens ?? null, truncation: request.truncation ?? 'disabled', reasoning: null, service_tier: 'default',
    metadata: request.metadata ?? {},
  };
}

function logprobOf(token: number, probabilities: { logProbability: number; top: readonly { token: number; logProbability: number }[] }, { tokenizer }: OpenModel): ResponseLogprob {
  const entry = (id: number, value: number): Omit<ResponseLogprob, 'top_logprobs'> => ({ token: tokenizer.decode([id]), logprob: Math.max(LEAST_LOGPROB, value), bytes: [...tokenizer.tokenBytes(id)] });
  return { ...entry(token, probabilities.logProbability), top_logprobs: probabilities.top.map((each) => entry(each.token, each.logProbability)) };
}

/** With numbers, and with what fails on the way as the last event. */
async function* numbered(events: AsyncIterable<ResponseEvent>, writer: ResponseWriter, { signal, context }: { signal: AbortSignal; context: Context<Environment> }): AsyncGenerator<ResponseEvent & { sequence_number: number }> {
  let count = 0;
  try {
    for await (const event of events) yield { ...event, sequence_number: count++ };
  } catch (error) {
    const failure = renamed(error, NAMES);
    // Who has left is told nothing; who is cut off by the server's end is.
    if (!writer.begun || (signal.aborted && failure.status === 499)) throw failure;
    context.get('record').error = failure.code ?? failure.type;
    const code = failure.status === 429 ? 'rate_limit_exceeded' : failure.status < 500 ? 'invalid_prompt' : 'server_error';
    yield { ...writer.failed({ code, message: failure.message }), sequence_number: count++ };
  }
}

/** This endpoint's names for what other errors call by the older ones. */
const NAMES: Readonly<Record<string, string>> = { messages: 'input', max_tokens: 'max_output_tokens', response_format: 'text.format' };

/** GET …/input_items: this request's own items, newest first unless asked otherwise. */
function listed(items: readonly ResponseInputResource[], context: Context<Environment>): ResponseInputList {
  const { limit = String(DEFAULT_ITEMS), order = 'desc', after } = context.req.query();
  const most = Number(limit);
  if (!Number.isInteger(most) || most < 1 || most > MOST_ITEMS) throw invalidRequest(`'limit' is ${limit}: it has to be from 1 to ${MOST_ITEMS}`, 'limit', 'invalid_value');
  if (order !== 'asc' && order !== 'desc') throw invalidRequest(`'order' is ${order}: it has to be asc or desc`, 'order', 'invalid_value');
  const ordered = order === 'asc' ? items : items.toReversed();
  const place = after === undefined ? -1 : ordered.findIndex(({ id }) => id === after);
  if (after !== undefined && place < 0) throw invalidRequest(`'after' is ${after}, which is no item of this response's input`, 'after', 'invalid_value');
  const data = ordered.slice(place + 1, place + 1 + most);
  return { object: 'list', data, has_more: place + 1 + most < ordered.length, first_id: data[0]?.id ?? '', last_id: data.at(-1)?.id ?? '' };
}
