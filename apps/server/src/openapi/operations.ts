/** What each route does, for people and for programs that make clients. By the names of gate/routes.ts; a test holds the two together. */
import {
  chatCompletionRequest, completionRequest, conversationPatch, embeddingRequest, generateRequest, newConversation, newPersona, newUserMessage, personaPatch, responseRequest,
  signInRequest, stopRequest, temporaryRequest,
} from '@parley/protocol';
import type * as z from 'zod';
import * as answers from './answers.ts';

export interface Operation {
  readonly tag: string;
  readonly summary: string;
  readonly details?: string;
  readonly request?: z.ZodType;
  /** Meanings of fields that are others here than in FIELDS. */
  readonly fields?: Readonly<Record<string, string>>;
  /** A body that works as it stands. */
  readonly example?: Readonly<Record<string, unknown>>;
  /** Names of what may stand behind the question mark, with what they are. */
  readonly query?: Readonly<Record<string, string>>;
  /** A schema, or the type of what is not JSON. Absent: JSON that only Parley's own page reads (packages/protocol says what). */
  readonly answer?: z.ZodType | 'text/plain' | 'text/html' | 'none';
  /** 200 where nothing else is said. */
  readonly status?: 201 | 204;
  /** Each `data:` of the answer, where it is a stream: always, or if `stream` is true. */
  readonly chunk?: z.ZodType | 'events';
  /** Another status with the same form, such as 503 of what is not ready. */
  readonly also?: number;
}

const TEXT = 'Text';
const WATCH = 'Watching';
const PAGE = "The page's own";
const hello = [{ role: 'user', content: 'Hello! How are you?' }];

export const TAGS: Readonly<Record<string, string>> = {
  [TEXT]: "OpenAI's API: every client of it works, with this server as its base URL.",
  [WATCH]: 'For balancers and monitors.',
  [PAGE]: 'What the page in the browser uses: conversations that are kept. It needs a cookie instead of a key, and may change with the page.',
};

export const OPERATIONS: Readonly<Record<string, Operation>> = {
  'POST /v1/chat/completions': {
    tag: TEXT, summary: 'Answer a conversation', request: chatCompletionRequest, answer: answers.chatCompletion, chunk: answers.chatCompletionChunk,
    details: 'With `stream` the answer comes as server-sent events and ends with `data: [DONE]`; what fails on the way is an event with `error`.',
    example: { model: 'default', messages: hello, max_tokens: 64 },
  },
  'POST /v1/completions': {
    tag: TEXT, summary: 'Go on with a text', request: completionRequest, answer: answers.completion, chunk: answers.completion,
    details: 'The prompt is a text, several texts, token ids, or several lists of them.', example: { model: 'default', prompt: 'Once upon a time', max_tokens: 32 },
  },
  'POST /v1/engines/:engine/completions': {
    tag: TEXT, summary: 'Go on with a text, as programs of 2021 ask for it', request: completionRequest, answer: answers.completion, chunk: answers.completion,
    details: 'Old names such as davinci stand for the default model.', example: { prompt: 'Once upon a time', max_tokens: 32 },
  },
  'POST /v1/embeddings': {
    tag: TEXT, summary: 'Texts as vectors', request: embeddingRequest, answer: answers.embeddings, details: 'The mean of the last layer, of length 1.',
    example: { model: 'default', input: ['Good morning!', 'The cat sat.'] },
  },
  'POST /v1/responses': {
    tag: TEXT, summary: 'Answer, in the form of the Responses API', request: responseRequest, chunk: 'events',
    fields: {
      input: 'A text, or messages, calls of functions and their results.', instructions: 'What the model is told first.', previous_response_id: 'The answer that this goes on from.',
      store: 'Keep the answer, so that it can be gone on from.', text: '`format`: `json_object` or `json_schema`, held to while the answer is written.',
      max_output_tokens: 'Tokens of the answer, at most.', truncation: '`auto`: leave out the oldest turns where the conversation is too long.',
      include: 'Log-probabilities, if wanted.', metadata: 'Notes of yours, kept and told again.',
    },
    example: { model: 'default', input: 'Hello! How are you?' },
  },
  'GET /v1/responses/:id': { tag: TEXT, summary: 'An answer that was kept' },
  'DELETE /v1/responses/:id': { tag: TEXT, summary: 'Forget an answer' },
  'POST /v1/responses/:id/cancel': { tag: TEXT, summary: 'Stop an answer that is being written' },
  'GET /v1/responses/:id/input_items': { tag: TEXT, summary: 'What an answer was the answer to' },
  'GET /v1/models': { tag: TEXT, summary: 'The models that can be asked', answer: answers.modelList, details: 'Ours, and as `provider/model` those of other endpoints.' },
  'GET /v1/models/:id{.+}': { tag: TEXT, summary: 'One model', answer: answers.model },

  'GET /health': { tag: WATCH, summary: 'Whether the process is there', answer: answers.health },
  'GET /ready': { tag: WATCH, summary: 'Whether it can answer', answer: answers.readiness, also: 503 },
  'GET /metrics': { tag: WATCH, summary: "Gauges and counters in Prometheus' format, under vLLM's names", answer: 'text/plain' },
  'GET /openapi.json': { tag: WATCH, summary: 'This description, for programs' },
  'GET /docs': { tag: WATCH, summary: 'This description, for people', answer: 'text/html' },

  'GET /api/session': { tag: PAGE, summary: 'Who is signed in' },
  'POST /api/session': { tag: PAGE, summary: 'Sign in', request: signInRequest },
  'DELETE /api/session': { tag: PAGE, summary: 'Sign out' },
  'GET /api/models': { tag: PAGE, summary: 'Models to choose from' },
  'GET /api/conversations': {
    tag: PAGE, summary: 'Conversations, the latest first',
    query: { search: 'words in titles and messages', archived: 'true: those put away', cursor: '`next` of the page before', limit: 'how many, at most' },
  },
  'POST /api/conversations': { tag: PAGE, summary: 'A new conversation', request: newConversation, status: 201 },
  'GET /api/conversations/:id': { tag: PAGE, summary: 'A conversation with all its messages' },
  'PATCH /api/conversations/:id': { tag: PAGE, summary: 'Rename it, put it away, show another branch', request: conversationPatch },
  'DELETE /api/conversations/:id': { tag: PAGE, summary: 'Delete it', answer: 'none', status: 204 },
  'POST /api/conversations/:id/messages': { tag: PAGE, summary: 'Say something', request: newUserMessage, status: 201 },
  'GET /api/conversations/:id/messages/:messageId': { tag: PAGE, summary: 'A message with its details: seed, speed, probabilities' },
  'GET /api/conversations/:id/export': { tag: PAGE, summary: 'A conversation as a file', query: { format: 'markdown or json' } },
  'POST /api/conversations/:id/generate': { tag: PAGE, summary: 'Have a message answered', request: generateRequest, answer: 'none', chunk: 'events' },
  'GET /api/conversations/:id/stream': { tag: PAGE, summary: 'An answer that is being written, again from an event on', query: { messageId: 'the answer', after: 'events over this number' }, answer: 'none', chunk: 'events' },
  'POST /api/conversations/:id/stop': { tag: PAGE, summary: 'Stop an answer', request: stopRequest },
  'POST /api/temporary/generate': { tag: PAGE, summary: 'An answer of which nothing is kept', request: temporaryRequest, answer: 'none', chunk: 'events' },
  'GET /api/personas': { tag: PAGE, summary: 'Saved ways to answer' },
  'POST /api/personas': { tag: PAGE, summary: 'Save one', request: newPersona, status: 201 },
  'PATCH /api/personas/:id': { tag: PAGE, summary: 'Change one', request: personaPatch },
  'DELETE /api/personas/:id': { tag: PAGE, summary: 'Delete one', answer: 'none', status: 204 },
  'GET /api/export': { tag: PAGE, summary: 'Everything of one person, as a file' },
  'POST /api/import': { tag: PAGE, summary: "Take in such a file, or ChatGPT's conversations.json" },
};

/** What fields of requests mean, wherever they occur at the top. */
export const FIELDS: Readonly<Record<string, string>> = {
  model: 'A name of GET /v1/models, an alias, or `default`.',
  engine: 'The older name of `model`.',
  messages: 'The conversation so far: roles system (or developer), user, assistant and tool.',
  prompt: 'What is gone on with: a text, several, token ids, or lists of them.',
  input: 'A text, several, token ids, or lists of them.',
  stream: 'Send the answer as it is written.',
  stream_options: '`include_usage`: one more chunk, at the end, with what it cost.',
  max_tokens: 'Tokens of the answer, at most.',
  max_completion_tokens: 'The newer name of `max_tokens`.',
  temperature: '0 takes the likeliest token every time; 1 draws as the model says; more is wilder.',
  top_p: 'Draw among the likeliest tokens that together have this share.',
  top_k: 'Draw among this many likeliest tokens; 0: all.',
  min_p: 'Leave out what is less likely than this share of the likeliest token.',
  n: 'How many answers.',
  best_of: 'Write so many, tell the `n` likeliest.',
  stop: 'Texts before which the answer ends.',
  stop_token_ids: 'Tokens with which the answer ends.',
  seed: 'The same seed and request give the same answer.',
  presence_penalty: 'Taken from the logits of tokens that were said.',
  frequency_penalty: 'Taken from them for each time.',
  repetition_penalty: 'Divides the logits of tokens that were said or asked; 1: none.',
  no_repeat_ngram_size: 'No run of so many tokens comes twice; 0: no such rule.',
  num_beams: 'Search with so many beams instead of drawing.',
  logit_bias: 'Added to the logits of tokens, by their ids; −100 forbids.',
  logprobs: "The tokens' log-probabilities; in completions, with so many likeliest ones.",
  top_logprobs: 'With so many runners-up.',
  response_format: '`json_object` or `json_schema`: held to while the answer is written.',
  tools: 'Functions that may be called.',
  tool_choice: 'Whether, and which, functions are to be called.',
  parallel_tool_calls: 'Whether several may be called at once.',
  echo: 'Tell the prompt too.',
  suffix: 'Not done here: refused.',
  dimensions: 'Not done here: refused.',
  encoding_format: '`base64`: the numbers as little-endian f32.',
  user: 'Of no effect.',
  metadata: 'Of no effect.',
  service_tier: 'Of no effect.',
  safety_identifier: 'Of no effect.',
  prompt_cache_key: 'Of no effect: beginnings in common are found without it.',
  prompt_cache_retention: 'Of no effect.',
  prompt_cache_options: 'Of no effect.',
  store: 'Only false: answers are not kept here.',
  modalities: 'Only text.',
};
