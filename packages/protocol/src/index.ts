export {
  type ChatCompletion, type ChatCompletionChunk, type ChatCompletionMessage, type ChatCompletionRequest, chatCompletionRequest, type ChatLogprobs, type TokenLogprob,
} from './chat.ts';
export { type Completion, type CompletionLogprobs, type CompletionRequest, completionRequest } from './completion.ts';
export { type EmbeddingRequest, embeddingRequest, type EmbeddingResponse } from './embedding.ts';
export { ApiError, type ErrorBody, type ErrorType, invalidRequest } from './errors.ts';
export type { FinishReason, Usage } from './common.ts';
export { type ModelList, type ModelObject } from './models.ts';
export { parseRequest } from './parse.ts';
export {
  type ResponseEvent, type ResponseFunctionCall, type ResponseInputItem, type ResponseInputList, type ResponseInputResource, type ResponseLogprob, type ResponseMessage,
  type ResponseObject, type ResponseOutputItem, type ResponseRequest, responseRequest, type ResponseText, type ResponseTool, type ResponseToolChoice, type ResponseUsage,
} from './responses.ts';
export { type ChatTool, type ChatToolChoice, type ToolCallChunk, type ToolCallMessage } from './tools.ts';
export {
  type AnswerDetails, type ConversationDetail, type ConversationPage, type ConversationPatch, conversationPatch, type ConversationSummary, type GenerateRequest,
  generateRequest, type ImportReport, type ListedConversation, type MessageStatus, type NewConversation, newConversation, type NewPersona, newPersona, type NewUserMessage, newUserMessage,
  type Persona, type PersonaPatch, personaPatch, type SessionInfo, type SignInRequest, signInRequest, type StopRequest, stopRequest, type TalkEnd, type TalkError,
  type TalkEvent, type TalkExport, type TalkMessage, type TalkModel, type TalkParameters, talkParameters, type TalkSettings, talkSettings, type TalkStart, type TalkText, type TalkToken, type TalkUsage,
  type TemporaryRequest, temporaryRequest, type TokenDetail,
} from './talk.ts';
