/** How people type: the same question in lower case, without its mark, with a please, with a slip of the finger. */
import type { Random } from '@parley/engine';
import type { Language } from './format.ts';

const ORDERS_EN = /^(?:tell|give|write|explain|list|name|recommend|suggest|show|help|describe|spell|count|translate|make|say|teach|define|find|add|sing)\b/i;
const ORDERS_ZH = /^(?:写|给我|讲|说说|介绍|解释|推荐|告诉|列|教|数|翻译|拼|背|描述|安排|出)/;
const ASKS_EN = /^(?:what|who|where|when|why|how|which|is|are|do|does|can|could|should)\b/i;

/** One way of typing `text`. */
export function typed(text: string, language: Language, random: Random): string {
  return language === 'en' ? typedEnglish(text, random) : typedChinese(text, random);
}

function typedEnglish(text: string, random: Random): string {
  const dice = random.uniform();
  if (/\n/.test(text)) return text;
  if (dice < 0.4) return text;
  if (dice < 0.66) return withoutMark(text).toLowerCase();
  if (dice < 0.74) return withoutMark(text);
  if (dice < 0.8) return text.toLowerCase();
  return dice < 0.93 ? polite(text, random) : text;
}

const withoutMark = (text: string): string => text.replace(/(?<=\w)[.?!]$/, '');

/** Words that begin a sentence and lose their capital inside one; names and "I" keep it. */
const lowered = (text: string): string => (/^(?:I\b|I'|Parley)/.test(text) ? text : text.charAt(0).toLowerCase() + text.slice(1));

function polite(text: string, random: Random): string {
  const pick = (choices: readonly string[]): string => choices[random.below(choices.length)] ?? '';
  if (ORDERS_EN.test(text)) {
    if (text.includes(':')) return pick([`Please ${lowered(text)}`, `please ${lowered(text)}`]);
    const rest = withoutMark(lowered(text));
    return pick([`Please ${rest}.`, `please ${rest}`, `Can you ${rest}?`, `Could you ${rest}?`, `can you ${rest}`, `${withoutMark(text)}, please.`, `I'd like you to ${rest}.`]);
  }
  if (!ASKS_EN.test(text) || text.split(' ').length < 3) return text;
  return pick([`Hey, ${lowered(text)}`, `Parley, ${lowered(text)}`, `So, ${lowered(text)}`, `Hi! ${text}`, `Hello, ${lowered(text)}`, `A question: ${lowered(text)}`, `please tell me: ${lowered(text)}`]);
}

/** Now and then a missing apostrophe, a text message's short form, or two letters the wrong way round; meant for wordings before their cells are filled. */
export function slip(text: string, random: Random): string {
  if (random.uniform() > 0.08 || /\n/.test(text)) return text;
  if (text.includes('\'') && random.uniform() < 0.6) return text.replace('\'', '');
  if (random.uniform() < 0.35) {
    const short = text.replace(/\byou\b/i, 'u').replace(/\bare\b/i, 'r').replace(/\bplease\b/i, 'pls');
    if (short !== text) return short;
  }
  const words = text.split(' ');
  const long = words.map((word, i) => ({ word, i })).filter(({ word }) => /^[a-z]{5,}$/.test(word));
  const chosen = long[random.below(Math.max(1, long.length))];
  if (chosen === undefined) return text;
  const at = 1 + random.below(chosen.word.length - 3);
  const { word } = chosen;
  words[chosen.i] = word.slice(0, at) + word.charAt(at + 1) + word.charAt(at) + word.slice(at + 2);
  return words.join(' ');
}

function typedChinese(text: string, random: Random): string {
  const dice = random.uniform();
  if (/\n/.test(text)) return text;
  if (dice < 0.5) return text;
  if (dice < 0.75) return text.replace(/[。？！]$/, '');
  if (dice < 0.8) return text.replace(/？$/, '?').replace(/！$/, '!').replace(/。$/, '');
  const pick = (choices: readonly string[]): string => choices[random.below(choices.length)] ?? '';
  const bare = text.replace(/[。？！]$/, '');
  if (ORDERS_ZH.test(text) && text.includes('：')) return `请${text}`;
  if (ORDERS_ZH.test(text)) return pick([`请${text}`, `请${bare}`, `请你${bare}`, `能${bare}吗？`, `可以${bare}吗？`, `你能${bare}吗`, `麻烦${bare}`, `${bare}吧`]);
  if (text.endsWith('？') && text.length > 5 && !/^(?:你|我|请|那|为什么呢)/.test(text)) return pick([`请问${text}`, `请问${bare}`, `你知道${bare}吗？`.replace(/(?:吗|呢)吗？$/, '吗？'), `你好，${text}`, `我想知道${bare}`.replace(/(?:吗|呢)$/, ''), `${bare}呢？`.replace(/(?:吗|呢)呢？$/, '？')]);
  return text;
}
