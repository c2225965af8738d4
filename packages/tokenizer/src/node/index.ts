/** @parley/tokenizer/node: tokenizers in files. */
export { loadTokenizer, saveTokenizer } from './files.ts';
