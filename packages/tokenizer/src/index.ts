/** @parley/tokenizer: byte-level BPE. Files are read and written by `@parley/tokenizer/node`. */
export { Tokenizer } from './tokenizer.ts';
export type { DecodeOptions, EncodeOptions, StreamingDecoder } from './tokenizer.ts';
export type { AddedToken } from './added-tokens.ts';
export { CHATML_TEMPLATE } from './chat.ts';
export type { ChatMessage, ChatOptions, EncodedConversation, ToolCall, ToolDefinition } from './chat.ts';
export { type CallForm, callFormOf } from './tool-calls.ts';
export { ChatTemplateError, TokenizerError, TokenizerFileError, TokenizerFormatError } from './errors.ts';
export type { SplitPattern } from './pre-tokenizer.ts';
export { tokenizerFromGguf } from './gguf.ts';
export { tokenizerToGguf } from './gguf-write.ts';
export { PARLEY_SPECIAL_TOKENS, trainTokenizer } from './train.ts';
export type { TrainProgress, TrainTokenizerOptions } from './train.ts';
