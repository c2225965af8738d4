/** What the clients say: English words in an order of its own for each request, so that nothing is shared but what is meant to be. */
import type { Random } from '@parley/engine';
import type { Tokenizer } from '@parley/tokenizer';

const WORDS = (
  'time year people way day man thing woman life child world school state family student group country problem hand part place case week company system '
  + 'program question work number night point home water room mother area money story fact month lot right study book eye job word business issue side kind head house'
).split(' ');

/** As many words as make `tokens` tokens, or one or two fewer where no word fits any more. */
export function words(tokens: number, random: Random, tokenizer: Tokenizer): string {
  const said: string[] = [];
  let length = 0;
  while (length < tokens) {
    const word = WORDS[random.below(WORDS.length)] ?? '';
    length += tokenizer.encode(` ${word}`).length;
    if (length <= tokens) said.push(word);
  }
  return said.join(' ');
}
