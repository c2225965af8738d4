/** @parley/tokenizer/testing: what tests and benchmarks of other packages need too. */
export { publishedRanks, publishedTokenizer, tokenizerJSONFromRanks } from './published.ts';
export type { PublishedName } from './published.ts';
