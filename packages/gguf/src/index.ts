/** @parley/gguf: the GGUF container, read and written. What its metadata means to a model or a tokenizer is theirs to say. */
export { GgufError } from './errors.ts';
export { type GgufFile, type GgufSource, type GgufTensor, readGguf } from './reader.ts';
export {
  GGUF_ALIGNMENT, type GgufMetadata, type GgufPlain, type GgufType, type GgufValue, plainMetadata, TENSOR_TYPES, type TensorType, tensorBytes,
} from './types.ts';
export { encodeGgufHeader, type GgufHeader, padding } from './writer.ts';
