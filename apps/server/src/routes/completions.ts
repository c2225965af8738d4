/** POST /v1/completions and, for programs of 2021, POST /v1/engines/{engine}/completions. */
import { collect, type GeneratedSequence, type GenerateEvent, type GenerateOptions, type LogProbabilities, type Prompt } from '@parley/generate';
import { type Completion, type CompletionLogprobs, type CompletionRequest, completionRequest, invalidRequest, parseRequest } from '@parley/protocol';
import type { Context, Hono } from 'hono';
import type { Environment } from '../app.ts';
import { generateOptions, isGreedy, renamed } from '../generation.ts';
import type { Models, OpenModel } from '../models.ts';
import { eventStream, readBody } from '../stream.ts';
import { LEAST_LOGPROB, newId, seconds, usageOf } from '../wire.ts';

/** OpenAI's default of this endpoint. */
const DEFAULT_MAX_TOKENS = 16;

export function completionRoutes(app: Hono<Environment>, models: Models): void {
  const answer = async (request: CompletionRequest, name: string, context: Context<Environment>): Promise<Response> => {
    const model = await models.get(name);
    const plan = planOf(request, model);
    const head = { id: newId('cmpl'), object: 'text_completion' as const, created: seconds(), model: model.id };
    const { id: queueKey } = context.get('identity');
    const run = async function* (signal: AbortSignal): AsyncGenerator<GenerateEvent, void> {
      try {
        yield* context.get('usage').count(model.id, model.generator.generate(plan.prompts, { ...plan.options, queueKey, signal }));
      } catch (error) {
        throw renamed(error, { messages: 'prompt' });
      }
    };
    if (request.stream === true) return eventStream(context, (signal) => chunks(run(signal), { head, request, model, plan }));

    const { sequences, usage } = await collect(run(context.get('signal')));
    const choices = chosen(sequences, plan).map(({ sequence, prompt }, index) => {
      const echoed = request.echo === true ? plan.texts[prompt] ?? '' : '';
      return {
        index, text: echoed + sequence.text, finish_reason: sequence.finishReason,
        logprobs: sequence.logProbabilities === undefined || typeof request.logprobs !== 'number' ? null
          : logprobsOf(sequence.tokens, sequence.logProbabilities, { model, offset: echoed.length, top: request.logprobs }),
      };
    });
    return context.json({ ...head, choices, usage: usageOf(usage, plan.copies) } satisfies Completion);
  };

  app.post('/v1/completions', async (context) => {
    const request = parseRequest(completionRequest, await readBody(context));
    const name = request.model ?? request.engine;
    if (name === undefined) throw invalidRequest("Missing required parameter: 'model'.", 'model', 'missing_required_parameter');
    if (request.model !== undefined && request.engine !== undefined && request.model !== request.engine) {
      throw invalidRequest(`'model' is ${request.model} and 'engine' is ${request.engine}: give one of them`, 'engine', 'invalid_value');
    }
    return answer(request, name, context);
  });
  app.post('/v1/engines/:engine/completions', async (context) => answer(parseRequest(completionRequest, await readBody(context)), context.req.param('engine'), context));
}

interface Plan {
  readonly prompts: readonly Prompt[];
  /** What the prompts say, for `echo`. */
  readonly texts: readonly string[];
  readonly options: GenerateOptions;
  /** Answers told for each prompt, of `candidates` that are made. */
  readonly answers: number;
  readonly candidates: number;
  /** Times each answer is told: greedy ones are all the same. */
  readonly copies: number;
}

function planOf(request: CompletionRequest, model: OpenModel): Plan {
  const prompts = promptsOf(request, model);
  const wanted = request.n ?? 1;
  const best = request.best_of ?? wanted;
  if (best < wanted) throw invalidRequest(`'best_of' is ${best} and 'n' is ${wanted}: the best are chosen among at least as many`, 'best_of', 'invalid_value');
  if (best > wanted && request.stream === true) throw invalidRequest("'best_of' is chosen when all are finished, which cannot be streamed", 'best_of', 'invalid_value');
  if (request.stream_options && request.stream !== true) throw invalidRequest("'stream_options' is about streams: pass 'stream': true with it", 'stream_options', 'invalid_value');
  if (request.echo === true && typeof request.logprobs === 'number') {
    throw invalidRequest("'echo' with 'logprobs' asks for the prompt's log-probabilities, which are not computed here: leave out one of the two", 'logprobs', 'unsupported_parameter');
  }
  const base = generateOptions({ ...request, n: best }, model);
  const copies = isGreedy(base) ? wanted : 1;
  const reported = typeof request.logprobs === 'number' ? request.logprobs : best > wanted ? 0 : null;
  return {
    prompts, texts: request.echo === true ? prompts.map((prompt) => textOf(prompt, model)) : [],
    answers: copies > 1 ? 1 : wanted, candidates: copies > 1 || isGreedy(base) ? 1 : best, copies,
    options: {
      ...base, maxNewTokens: request.max_tokens ?? DEFAULT_MAX_TOKENS, ...(isGreedy(base) && { numReturnSequences: 1 }),
      ...(reported !== null && { logProbabilities: reported }),
    },
  };
}

function promptsOf({ prompt }: CompletionRequest, { tokenizer }: OpenModel): Prompt[] {
  if (prompt === undefined || prompt === null) return [{ tokens: [tokenizer.bosTokenId ?? tokenizer.eosTokenId ?? 0] }];
  if (typeof prompt === 'string') return [prompt];
  if (isNumbers(prompt)) return [{ tokens: prompt }];
  return prompt.map((each): Prompt => (typeof each === 'string' ? each : { tokens: each as readonly number[] }));
}

/** Throws ApiError for ids that are no tokens. */
function textOf(prompt: Prompt, { tokenizer }: OpenModel): string {
  if (typeof prompt === 'string') return prompt;
  const tokens = 'tokens' in prompt ? prompt.tokens : [];
  const wrong = tokens.find((token) => token >= tokenizer.vocabSize);
  if (wrong !== undefined) throw invalidRequest(`'prompt' has the token ${wrong}: ids of this model are below ${tokenizer.vocabSize}`, 'prompt', 'invalid_value');
  return tokenizer.decode([...tokens]);
}

const isNumbers = (list: readonly unknown[]): list is readonly number[] => list.every((each) => typeof each === 'number');

/** The sequences that are told, with their prompts: the likeliest of the candidates, by their mean log-probability a token. */
function chosen(sequences: readonly GeneratedSequence[], { prompts, candidates, answers, copies }: Plan): { sequence: GeneratedSequence; prompt: number }[] {
  const score = ({ logProbabilities = [] }: GeneratedSequence): number => logProbabilities.reduce((sum, each) => sum + each.logProbability, 0) / Math.max(1, logProbabilities.length);
  return prompts.flatMap((_, prompt) => {
    const own = sequences.slice(prompt * candidates, (prompt + 1) * candidates);
    const best = candidates > answers ? own.toSorted((a, b) => score(b) - score(a)).slice(0, answers) : own;
    return Array.from({ length: copies }, () => best).flat().map((sequence) => ({ sequence, prompt }));
  });
}

interface ChunkContext {
  readonly head: Pick<Completion, 'id' | 'object' | 'created' | 'model'>;
  readonly request: CompletionRequest;
  readonly model: OpenModel;
  readonly plan: Plan;
}

async function* chunks(events: AsyncIterable<GenerateEvent>, { head, request, model, plan }: ChunkContext): AsyncGenerator<Completion> {
  const withUsage = request.stream_options?.include_usage === true;
  const offsets = new Map<number, number>();
  const chunk = (index: number, text: string, rest: { logprobs?: CompletionLogprobs; finish_reason?: 'stop' | 'length' } = {}): Completion => ({
    ...head, choices: [{ index, text, logprobs: rest.logprobs ?? null, finish_reason: rest.finish_reason ?? null }], ...(withUsage && { usage: null }),
  });
  for await (const event of events) {
    if (event.type === 'done') {
      if (withUsage) yield { ...head, choices: [], usage: usageOf(event.usage, plan.copies) };
      continue;
    }
    if (event.type === 'start') continue;
    for (let copy = 0; copy < plan.copies; copy++) {
      const index = event.index * plan.copies + copy;
      const echoed = plan.texts[Math.floor(event.index / plan.answers)] ?? '';
      if (!offsets.has(index)) {
        offsets.set(index, request.echo === true ? echoed.length : 0);
        if (request.echo === true) yield chunk(index, echoed);
      }
      if (event.type === 'end') {
        yield chunk(index, '', { finish_reason: event.finishReason });
        continue;
      }
      const offset = offsets.get(index) ?? 0;
      offsets.set(index, offset + event.text.length);
      if (event.text === '' && event.logProbabilities === undefined) continue;
      const logprobs = event.logProbabilities && typeof request.logprobs === 'number'
        ? { logprobs: logprobsOf([event.token], [event.logProbabilities], { model, offset, top: request.logprobs }) } : {};
      yield chunk(index, event.text, logprobs);
    }
  }
}

/** The chosen token is among the likeliest of its place, or comes after them: one more than was asked for. */
function logprobsOf(tokens: readonly number[], all: readonly LogProbabilities[], { model, offset, top }: { model: OpenModel; offset: number; top: number }): CompletionLogprobs {
  const texts = tokens.map((token) => model.tokenizer.decode([token]));
  const values = all.map(({ logProbability }) => Math.max(LEAST_LOGPROB, logProbability));
  let at = offset;
  return {
    tokens: texts,
    token_logprobs: values,
    top_logprobs: top === 0 ? null : all.map((each, i) => ({
      ...Object.fromEntries(each.top.map(({ token, logProbability }) => [model.tokenizer.decode([token]), Math.max(LEAST_LOGPROB, logProbability)])),
      [texts[i] ?? '']: values[i] ?? LEAST_LOGPROB,
    })),
    text_offset: texts.map((text) => {
      const start = at;
      at += text.length;
      return start;
    }),
  };
}
