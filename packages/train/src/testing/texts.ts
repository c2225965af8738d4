/** A small language for tests: enough pattern to be learned in a few steps, enough variety to have held-out documents. */

const WORDS = {
  who: ['Anna', 'Ben', 'Cleo', 'David'], does: ['sees', 'likes', 'feeds', 'calls'], whom: ['the cat', 'the dog', 'a horse', 'one bird'],
};

/** `count` paragraphs of six sentences; the same seed, the same text. */
export function paragraphs(count: number, seed = 1): string[] {
  let state = seed;
  const pick = (words: readonly string[]): string => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return words[Math.floor((state / 2 ** 32) * words.length)] ?? '';
  };
  return Array.from({ length: count }, () =>
    Array.from({ length: 6 }, () => `${pick(WORDS.who)} ${pick(WORDS.does)} ${pick(WORDS.whom)}.`).join(' '));
}

/** A recipe over `texts.jsonl` and `chats.jsonl` beside it: two stages, a model of about ten thousand weights. */
export const TINY_RECIPE = `
name: tiny
seed: 7
tokenizer: { vocab_size: 280 }
data:
  held_out: 0.1
  sources:
    - { name: texts, path: texts.jsonl }
    - { name: chats, path: chats.jsonl }
model: { hidden_size: 16, layers: 1, heads: 2, context_length: 96 }
stages:
  - { name: read, kind: pretrain, steps: 8, batch_tokens: 192, micro_batch_tokens: 96, learning_rate: 0.01, eval_every: 3, eval_tokens: 192, checkpoint_every: 2 }
  - { name: talk, kind: finetune, data: [chats], steps: 6, batch_tokens: 96, learning_rate: 0.003, eval_every: 4, eval_tokens: 192, checkpoint_every: 2 }
`;

/** The files TINY_RECIPE wants, as text. */
export function tinyData(): { 'texts.jsonl': string; 'chats.jsonl': string } {
  const texts = paragraphs(60).map((text) => JSON.stringify({ text }));
  const chats = paragraphs(60, 2).map((text) => {
    const [question = '', answer = ''] = text.split('. ');
    return JSON.stringify({ messages: [{ role: 'user', content: `${question}?` }, { role: 'assistant', content: `${answer}.` }] });
  });
  return { 'texts.jsonl': texts.join('\n'), 'chats.jsonl': chats.join('\n') };
}
