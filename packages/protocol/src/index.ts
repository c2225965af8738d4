export {
  type ChatCompletion, type ChatCompletionChunk, type ChatCompletionRequest, chatCompletionRequest, type ChatLogprobs, type TokenLogprob,
} from './chat.ts';
export { type Completion, type CompletionLogprobs, type CompletionRequest, completionRequest } from './completion.ts';
export { type EmbeddingRequest, embeddingRequest, type EmbeddingResponse } from './embedding.ts';
export { ApiError, type ErrorBody, type ErrorType, invalidRequest } from './errors.ts';
export type { FinishReason, Usage } from './common.ts';
export { type ModelList, type ModelObject } from './models.ts';
export { parseRequest } from './parse.ts';
