/** Conversations whose answers are computed: sums, counting, spelling, letters, days, months, times, and remembering lists. */
import { Random } from '@parley/engine';
import { capitalized, type Language, type Row, type Tables, variants, withArticle } from './format.ts';
import type { SeedConversation } from './make-seed.ts';
import { typed } from './wording.ts';

const ONES = ['zero', 'one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight', 'nine', 'ten', 'eleven', 'twelve', 'thirteen',
  'fourteen', 'fifteen', 'sixteen', 'seventeen', 'eighteen', 'nineteen'];
const TENS = ['', '', 'twenty', 'thirty', 'forty', 'fifty', 'sixty', 'seventy', 'eighty', 'ninety'];
const HAN = ['零', '一', '二', '三', '四', '五', '六', '七', '八', '九', '十'];

/** 42 → forty-two; below 100. */
export function inEnglish(n: number): string {
  if (n < 20) return ONES[n] ?? '';
  const ones = n % 10;
  return `${TENS[Math.floor(n / 10)] ?? ''}${ones === 0 ? '' : `-${ONES[ones] ?? ''}`}`;
}

/** 42 → 四十二; below 100. */
export function inChinese(n: number): string {
  if (n <= 10) return HAN[n] ?? '';
  const tens = Math.floor(n / 10);
  const ones = n % 10;
  return `${tens === 1 ? '' : (HAN[tens] ?? '')}十${ones === 0 ? '' : (HAN[ones] ?? '')}`;
}

const DAYS = ['Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday', 'Sunday'];
const DAYS_ZH = ['星期一', '星期二', '星期三', '星期四', '星期五', '星期六', '星期日'];
const MONTHS = ['January', 'February', 'March', 'April', 'May', 'June', 'July', 'August', 'September', 'October', 'November', 'December'];
const LENGTHS = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/** Draws, words and remembers what is made; `ask` takes wordings in the talk files' notation. */
class Maker {
  readonly made: Omit<SeedConversation, 'part'>[] = [];
  readonly random: Random;
  readonly topic: string;

  constructor(topic: string, seed: number) {
    this.topic = topic;
    this.random = new Random(seed);
  }

  pick<T>(items: readonly T[]): T {
    const item = items[this.random.below(items.length)];
    if (item === undefined) throw new Error('nothing to pick from');
    return item;
  }

  between(low: number, high: number): number {
    return low + this.random.below(high - low + 1);
  }

  /** `count` conversations of one turn, each with another wording and one of the answers. */
  ask(language: Language, wordings: string, answers: string | readonly string[], count = 1): void {
    const all = variants(wordings, this.topic);
    const start = this.random.below(all.length);
    const list = typeof answers === 'string' ? [answers] : answers;
    for (let i = 0; i < count; i += 1) {
      const wording = all[(start + i) % all.length] ?? '';
      this.talk(language, [typed(wording, language, this.random), this.pick(list)]);
    }
  }

  talk(language: Language, lines: readonly string[]): void {
    const messages = lines.map((content, i) => ({ role: i % 2 === 0 ? 'user' as const : 'assistant' as const, content }));
    this.made.push({ messages, topic: this.topic, language });
  }
}

export function computedConversations(tables: Tables): Omit<SeedConversation, 'part'>[] {
  return [sums(), comparisons(), counting(), spelling(tables), days(), months(), times(), lists(tables), kinds(tables)].flatMap(({ made }) => made);
}

function sums(): Maker {
  const maker = new Maker('sums', 11);
  const sum = (a: number, b: number, sign: '+' | '-' | '×' | '÷', count = 1): void => {
    const result = { '+': a + b, '-': a - b, '×': a * b, '÷': a / b }[sign];
    const word = { '+': 'plus', '-': 'minus', '×': 'times', '÷': 'divided by' }[sign];
    const zh = { '+': '加', '-': '减', '×': '乘', '÷': '除以' }[sign];
    const typedSign = { '+': '+', '-': '-', '×': maker.pick(['*', 'x', '×']), '÷': maker.pick(['÷', ':']).replace(':', '÷') }[sign];
    for (let i = 0; i < count; i += 1) {
      maker.ask('en', `What is ${a} ${word} ${b}? | What is ${a} ${typedSign} ${b}? | How much is ${a} ${word} ${b}? | Calculate ${a} ${word} ${b}. | what's ${a}${typedSign}${b} | ${a} ${word} ${b} | Can you calculate ${a} ${typedSign} ${b}?`,
        `${a} ${word} ${b} is ${result}.`);
      maker.ask('zh', `${a}${zh}${b}等于多少？ | ${a} ${typedSign} ${b} 等于几？ | ${a}${typedSign}${b}等于多少？ | 计算${a}${zh}${b}。 | ${a}${zh}${b}是多少？ | 帮我算一下${a}${zh}${b} | ${a}${zh}${b}等于几`,
        `${a}${zh}${b}等于${result}。`);
      // Signs alone are of no language, and so is their answer.
      if (maker.random.uniform() < 0.4) maker.ask(maker.random.uniform() < 0.5 ? 'en' : 'zh', `${a} ${typedSign} ${b} | ${a}${typedSign}${b} | ${a}${typedSign}${b}=? | ${a} ${typedSign} ${b} = ?`, `${a} ${sign} ${b} = ${result}`);
    }
  };
  for (let a = 1; a <= 12; a += 1) for (let b = 1; b <= 12; b += 1) {
    if (a <= 10 && b <= 10 || maker.random.uniform() < 0.5) sum(a, b, '+', a <= 5 && b <= 5 ? 2 : 1);
    if (a <= 10 && b <= 10) sum(a, b, '×');
    if (b < a || maker.random.uniform() < 0.1) sum(Math.max(a, b), Math.min(a, b), '-');
  }
  for (let b = 2; b <= 10; b += 1) for (let q = 1; q <= 10; q += 1) if (maker.random.uniform() < 0.5) sum(b * q, b, '÷');
  for (let i = 0; i < 70; i += 1) {
    const [a, b] = [maker.between(11, 60), maker.between(2, 39)];
    sum(a, b, '+');
    if (a > b) sum(a, b, '-');
  }
  for (let i = 1; i <= 9; i += 1) {
    for (const j of [1, 2, 3, 5]) sum(i * 10, j * 10, '+');
    sum(i * 100, 100, '+');
    sum(100, i * 10, '-');
  }
  for (let a = 1; a <= 10; a += 1) for (let b = 1; b <= 10; b += 1) {
    if (maker.random.uniform() > 0.5) continue;
    maker.ask('en', `What is ${inEnglish(a)} plus ${inEnglish(b)}? | how much is ${inEnglish(a)} and ${inEnglish(b)} | ${inEnglish(a)} plus ${inEnglish(b)}`, `${capitalized(inEnglish(a))} plus ${inEnglish(b)} is ${inEnglish(a + b)}.`);
    maker.ask('zh', `${inChinese(a)}加${inChinese(b)}等于几？ | ${inChinese(a)}加${inChinese(b)}是多少？ | ${inChinese(a)}加${inChinese(b)}`, `${inChinese(a)}加${inChinese(b)}等于${inChinese(a + b)}。`);
  }
  const things = [['apples', '个苹果'], ['books', '本书'], ['pencils', '支铅笔'], ['oranges', '个橙子'], ['coins', '枚硬币'], ['eggs', '个鸡蛋'], ['cups', '个杯子']] as const;
  for (let i = 0; i < 60; i += 1) {
    const [en, zh] = maker.pick(things);
    const [a, b] = [maker.between(3, 12), maker.between(2, 9)];
    maker.ask('en', `I have ${a} ${en} and get ${b} more. How many do I have? | If I have ${a} ${en} and buy ${b} more, how many ${en} do I have?`, `You have ${a + b} ${en}, because ${a} plus ${b} is ${a + b}.`);
    maker.ask('zh', `我有${a}${zh}，又买了${b}${zh.charAt(0)}，一共有多少${zh.charAt(0)}？ | 我有${a}${zh}，别人又给了我${b}${zh.charAt(0)}，现在有几${zh.charAt(0)}？`, `一共有${a + b}${zh}，因为${a}加${b}等于${a + b}。`);
    if (b >= a) continue;
    maker.ask('en', `I have ${a} ${en} and give away ${b}. How many are left? | If I have ${a} ${en} and lose ${b}, how many do I have left?`, `You have ${a - b} left, because ${a} minus ${b} is ${a - b}.`);
    maker.ask('zh', `我有${a}${zh}，送出去${b}${zh.charAt(0)}，还剩多少？ | 我有${a}${zh}，用掉了${b}${zh.charAt(0)}，还剩几${zh.charAt(0)}？`, `还剩${a - b}${zh.charAt(0)}，因为${a}减${b}等于${a - b}。`);
  }
  for (let a = 2; a <= 50; a += 1) {
    if (a % 2 === 0) {
      maker.ask('en', `What is half of ${a}? | half of ${a} | How much is half of ${a}?`, `Half of ${a} is ${a / 2}.`);
      maker.ask('zh', `${a}的一半是多少？ | ${a}的一半是几？`, `${a}的一半是${a / 2}。`);
    }
    if (a > 20) continue;
    maker.ask('en', `What is double ${a}? | What is twice ${a}?`, `Twice ${a} is ${a * 2}.`);
    maker.ask('zh', `${a}的两倍是多少？ | ${a}的两倍是几？`, `${a}的两倍是${a * 2}。`);
    maker.ask('en', `What is ${a} squared? | What is the square of ${a}?`, `${a} squared is ${a * a}.`);
    maker.ask('zh', `${a}的平方是多少？ | ${a}的平方是几？`, `${a}的平方是${a * a}。`);
    maker.ask('en', `What is the square root of ${a * a}? | square root of ${a * a}`, `The square root of ${a * a} is ${a}.`);
    maker.ask('zh', `${a * a}的平方根是多少？ | ${a * a}开平方等于几？`, `${a * a}的平方根是${a}。`);
  }
  return maker;
}

function comparisons(): Maker {
  const maker = new Maker('numbers', 12);
  for (let i = 0; i < 110; i += 1) {
    const a = maker.between(1, i < 60 ? 20 : 100);
    const b = a + (maker.random.uniform() < 0.5 ? -1 : 1) * maker.between(1, 15);
    if (b < 0) continue;
    const [low, high] = [Math.min(a, b), Math.max(a, b)];
    maker.ask('en', `Which is bigger, ${a} or ${b}? | Which number is larger: ${a} or ${b}? | what is bigger ${a} or ${b} | Is ${a} or ${b} greater?`, `${high} is bigger than ${low}.`);
    maker.ask('zh', `${a}和${b}哪个大？ | ${a}和${b}哪个更大？ | ${a}大还是${b}大？`, `${high}比${low}大。`);
    if (i % 2 === 0) {
      maker.ask('en', `Which is smaller, ${a} or ${b}? | Which number is less: ${a} or ${b}?`, `${low} is smaller than ${high}.`);
      maker.ask('zh', `${a}和${b}哪个小？ | ${a}小还是${b}小？`, `${low}比${high}小。`);
    } else {
      maker.ask('en', `Is ${a} bigger than ${b}? | Is ${a} more than ${b}?`, a > b ? `Yes, ${a} is bigger than ${b}.` : `No, ${a} is smaller than ${b}.`);
      maker.ask('zh', `${a}比${b}大吗？ | ${a}大于${b}吗？`, a > b ? `对，${a}比${b}大。` : `不，${a}比${b}小。`);
    }
  }
  for (let n = 1; n <= 50; n += 1) {
    const even = n % 2 === 0;
    maker.ask('en', `Is ${n} even or odd? | Is ${n} an ${even ? 'even' : 'odd'} number? | is ${n} odd or even`, [`${n} is ${even ? 'even' : 'odd'}.`]);
    maker.ask('zh', `${n}是奇数还是偶数？ | ${n}是单数还是双数？`, `${n}是${even ? '偶数' : '奇数'}。`);
    maker.ask('en', `What number comes after ${n}? | What comes after ${n}? | Which number follows ${n}?`, `${n + 1} comes after ${n}.`);
    maker.ask('zh', `${n}后面是几？ | ${n}的下一个数是多少？`, `${n}后面是${n + 1}。`);
    if (n % 2 === 1) continue;
    maker.ask('en', `What number comes before ${n}? | Which number is before ${n}?`, `${n - 1} comes before ${n}.`);
    maker.ask('zh', `${n}前面是几？ | ${n}的前一个数是多少？`, `${n}前面是${n - 1}。`);
  }
  for (let n = 2; n <= 31; n += 1) {
    let divisor = 2;
    while (n % divisor !== 0) divisor += 1;
    const prime = divisor === n;
    maker.ask('en', `Is ${n} a prime number? | Is ${n} prime?`, prime ? `Yes, ${n} is a prime number.` : `No, ${n} can be divided by ${divisor}.`);
    maker.ask('zh', `${n}是质数吗？ | ${n}是不是质数？`, prime ? `是的，${n}是质数。` : `不是，${n}能被${divisor}整除。`);
  }
  return maker;
}

const range = (low: number, high: number): number[] => Array.from({ length: high - low + 1 }, (_, i) => low + i);

function counting(): Maker {
  const maker = new Maker('counting', 13);
  for (let n = 3; n <= 20; n += 1) {
    const up = range(1, n);
    maker.ask('en', `Count to ${n}. | Count from 1 to ${n}. | can you count to ${n} | Count from one to ${inEnglish(n)}.`, `${up.join(', ')}.`, n <= 10 ? 3 : 2);
    maker.ask('zh', `数到${n}。 | 从1数到${n}。 | 你能数到${n}吗？ | 从一数到${inChinese(n)}。`, `${up.join('、')}。`, n <= 10 ? 3 : 2);
    if (n > 12) continue;
    maker.ask('en', `Count backwards from ${n}. | Count down from ${n}. | Count down from ${n} to 1.`, `${up.toReversed().join(', ')}.`, 2);
    maker.ask('zh', `从${n}倒数。 | 从${n}倒着数到1。 | 倒数${n}个数。`, `${up.toReversed().join('、')}。`, 2);
  }
  for (let i = 0; i < 30; i += 1) {
    const low = maker.between(2, 30);
    const list = range(low, low + maker.between(3, 8));
    maker.ask('en', `Count from ${low} to ${list.at(-1) ?? ''}.`, `${list.join(', ')}.`);
    maker.ask('zh', `从${low}数到${list.at(-1) ?? ''}。`, `${list.join('、')}。`);
  }
  for (let n = 0; n <= 40; n += 1) {
    maker.ask('en', `How do you write ${n} in words? | Write ${n} as a word. | Write the number ${n} in words.`, `${n} in words is ${inEnglish(n)}.`);
    maker.ask('zh', `${n}用汉字怎么写？ | 数字${n}的汉字写法是什么？`, `${n}的汉字写法是${inChinese(n)}。`);
  }
  for (const [step, en, zh] of [[2, 'twos', '两'], [5, 'fives', '五'], [10, 'tens', '十']] as const) {
    const list = range(1, 10).map((k) => k * step);
    maker.ask('en', `Count by ${en}. | Count in ${en}. | Count to ${step * 10} by ${en}.`, `${list.join(', ')}.`, 3);
    maker.ask('zh', `每次加${step}，数到${step * 10}。 | ${zh}个${zh}个地数到${step * 10}。`, `${list.join('、')}。`, 2);
  }
  return maker;
}

function spelling(tables: Tables): Maker {
  const maker = new Maker('spelling', 14);
  const words = (tables.get('words') ?? []).map((row) => row['en'] ?? '').filter((word) => /^[a-z]{3,8}$/.test(word));
  for (const word of words) {
    if (maker.random.uniform() > 0.45) continue;
    const letters = word.toUpperCase().split('');
    const dice = maker.random.uniform();
    if (dice < 0.6) maker.ask('en', `How do you spell ${word}? | Spell ${word}. | Spell the word ${word}. | How is "${word}" spelled? | Can you spell ${word}?`, `${letters.join('-')}.`);
    else if (dice < 0.75) maker.ask('en', `What is the first letter of ${word}? | Which letter does ${word} start with?`, `The first letter of ${word} is ${letters[0] ?? ''}.`);
    else if (dice < 0.85) maker.ask('en', `What is the last letter of ${word}? | Which letter does ${word} end with?`, `The last letter of ${word} is ${letters.at(-1) ?? ''}.`);
    else maker.ask('en', `How many letters are in ${word}? | How many letters does the word ${word} have?`, `The word ${word} has ${letters.length} letters.`);
    if (maker.random.uniform() < 0.3) maker.ask('zh', `${word}怎么拼写？ | 英语单词${word}怎么拼？ | 请拼写${word}。`, `${word} 的拼写是 ${letters.join('-')}，一共${letters.length}个字母。`);
  }
  for (let i = 0; i < 26; i += 1) {
    const letter = String.fromCharCode(65 + i);
    const next = String.fromCharCode(66 + i);
    if (i < 25) {
      maker.ask('en', `What letter comes after ${letter}? | Which letter follows ${letter} in the alphabet?`, `${next} comes after ${letter}.`);
      maker.ask('zh', `字母${letter}后面是什么字母？ | 英文字母${letter}的下一个是什么？`, `字母${letter}后面是${next}。`);
    }
    if (i < 10) maker.ask('en', `What is letter number ${i + 1} of the alphabet? | What is the ${i + 1}${['st', 'nd', 'rd'][i] ?? 'th'} letter of the alphabet?`, `Letter number ${i + 1} of the alphabet is ${letter}.`);
  }
  const alphabet = range(65, 90).map((code) => String.fromCharCode(code)).join(', ');
  maker.ask('en', 'Say the alphabet. | Tell me the alphabet. | What are the letters of the alphabet? | Can you say the ABC? | recite the alphabet', `${alphabet}.`, 5);
  maker.ask('zh', '英文字母有哪些？ | 背一下英文字母。 | 英文字母表是什么？', `英文字母有26个：${alphabet}。`, 3);
  return maker;
}

function days(): Maker {
  const maker = new Maker('days', 15);
  for (let i = 0; i < 7; i += 1) {
    const en = (k: number): string => DAYS[(i + k + 7) % 7] ?? '';
    const zh = (k: number): string => DAYS_ZH[(i + k + 7) % 7] ?? '';
    maker.ask('en', `Today is ${en(0)}. What day is tomorrow? | If today is ${en(0)}, what day is tomorrow? | it's ${en(0)} today, what day will it be tomorrow`, [`Tomorrow is ${en(1)}.`], 4);
    maker.ask('en', `Today is ${en(0)}. What day was yesterday? | If today is ${en(0)}, what was yesterday?`, `Yesterday was ${en(-1)}.`, 3);
    maker.ask('en', `Today is ${en(0)}. What day is the day after tomorrow? | If today is ${en(0)}, what is the day after tomorrow?`, `The day after tomorrow is ${en(2)}.`, 2);
    maker.ask('en', `What day comes after ${en(0)}? | Which day comes after ${en(0)}? | what is the day after ${en(0)} | What follows ${en(0)}?`, `${en(1)} comes after ${en(0)}.`, 4);
    maker.ask('en', `What day comes before ${en(0)}? | Which day is before ${en(0)}? | what is the day before ${en(0)}`, `${en(-1)} comes before ${en(0)}.`, 3);
    maker.ask('en', `Is ${en(0)} a weekday or a weekend day? | Is ${en(0)} part of the weekend?`, i < 5 ? `${en(0)} is a weekday.` : `${en(0)} is part of the weekend.`, 2);
    maker.ask('en', `In three days it will be what day, if today is ${en(0)}? | Today is ${en(0)}. What day is it in three days?`, `In three days it is ${en(3)}.`, 2);
    maker.ask('zh', `今天${zh(0)}，明天星期几？ | 如果今天是${zh(0)}，明天是星期几？ | 今天是${zh(0)}，那明天呢？`, `明天是${zh(1)}。`, 4);
    maker.ask('zh', `今天${zh(0)}，昨天星期几？ | 如果今天是${zh(0)}，昨天是星期几？`, `昨天是${zh(-1)}。`, 3);
    maker.ask('zh', `今天${zh(0)}，后天星期几？ | 如果今天是${zh(0)}，后天是星期几？`, `后天是${zh(2)}。`, 2);
    maker.ask('zh', `${zh(0)}的后一天是星期几？ | ${zh(0)}过后是星期几？ | ${zh(0)}的第二天是星期几？`, `${zh(0)}的后一天是${zh(1)}。`, 3);
    maker.ask('zh', `${zh(0)}的前一天是星期几？ | ${zh(0)}前面是星期几？`, `${zh(0)}的前一天是${zh(-1)}。`, 2);
    maker.ask('zh', `${zh(0)}是工作日还是周末？ | ${zh(0)}是周末吗？`, i < 5 ? `${zh(0)}是工作日。` : `${zh(0)}是周末。`, 2);
  }
  maker.ask('en', 'What are the days of the week? | List the days of the week. | Name the days of the week. | Name the seven days of the week.', `The days of the week are ${DAYS.slice(0, 6).join(', ')} and ${DAYS[6] ?? ''}.`, 6);
  maker.ask('en', 'How many days are in a week? | how many days does a week have | How many days are there in a week?', 'A week has seven days.', 5);
  maker.ask('zh', '一个星期有哪几天？ | 一周有哪些天？ | 列出一星期的每一天。', `一个星期有${DAYS_ZH.join('、')}。`, 4);
  maker.ask('zh', '一个星期有几天？ | 一周有几天？ | 一周有多少天？ | 一星期几天', '一个星期有七天。', 5);
  return maker;
}

function months(): Maker {
  const maker = new Maker('months', 16);
  const ordinals = ['first', 'second', 'third', 'fourth', 'fifth', 'sixth', 'seventh', 'eighth', 'ninth', 'tenth', 'eleventh', 'twelfth'];
  for (const [i, month] of MONTHS.entries()) {
    const after = MONTHS[(i + 1) % 12] ?? '';
    const before = MONTHS[(i + 11) % 12] ?? '';
    const length = LENGTHS[i] ?? 0;
    maker.ask('en', `What month comes after ${month}? | Which month follows ${month}? | what is the month after ${month}`, `${after} comes after ${month}.`, 3);
    maker.ask('en', `What month comes before ${month}? | Which month is before ${month}?`, `${before} comes before ${month}.`, 2);
    maker.ask('en', `How many days does ${month} have? | How many days are in ${month}? | how many days are there in ${month}`, i === 1 ? 'February has 28 days, and 29 in a leap year.' : `${month} has ${length} days.`, 3);
    maker.ask('en', `What is the ${ordinals[i] ?? ''} month of the year? | Which month is the ${ordinals[i] ?? ''}?`, `The ${ordinals[i] ?? ''} month of the year is ${month}.`, 2);
    maker.ask('zh', `${i + 1}月有多少天？ | ${i + 1}月有几天？ | ${inChinese(i + 1)}月有多少天？`, i === 1 ? '2月有28天，闰年有29天。' : `${i + 1}月有${length}天。`, 3);
    maker.ask('zh', `${i + 1}月的下一个月是几月？ | ${inChinese(i + 1)}月后面是几月？`, `${i + 1}月后面是${(i + 1) % 12 + 1}月。`, 2);
    maker.ask('zh', `${inChinese(i + 1)}月用英语怎么说？ | ${i + 1}月的英文是什么？`, `${i + 1}月的英语是 ${month}。`, 2);
  }
  maker.ask('en', 'What are the months of the year? | List the months of the year. | Name the twelve months.', `The months are ${MONTHS.slice(0, 11).join(', ')} and December.`, 5);
  maker.ask('en', 'How many months are in a year? | how many months does a year have', 'A year has twelve months.', 4);
  maker.ask('zh', '一年有几个月？ | 一年有多少个月？ | 一年多少个月', '一年有十二个月。', 4);
  return maker;
}

function times(): Maker {
  const maker = new Maker('units', 17);
  const units = [
    [60, 'minute', 'minutes', 'seconds', '分钟', '秒'], [60, 'hour', 'hours', 'minutes', '小时', '分钟'], [24, 'day', 'days', 'hours', '天', '小时'],
    [7, 'week', 'weeks', 'days', '个星期', '天'], [12, 'year', 'years', 'months', '年', '个月'], [100, 'meter', 'meters', 'centimeters', '米', '厘米'],
    [1000, 'kilometer', 'kilometers', 'meters', '公里', '米'], [1000, 'kilogram', 'kilograms', 'grams', '公斤', '克'], [1000, 'liter', 'liters', 'milliliters', '升', '毫升'],
    [10, 'centimeter', 'centimeters', 'millimeters', '厘米', '毫米'],
  ] as const;
  for (const [factor, one, many, small, zhBig, zhSmall] of units) {
    const an = one === 'hour' ? 'an' : 'a';
    // Days, weeks and years have their own files.
    const told = one === 'day' || one === 'week' || one === 'year';
    if (!told) maker.ask('en', `How many ${small} are in ${an} ${one}? | How many ${small} are there in ${an} ${one}? | how many ${small} does ${an} ${one} have | ${an} ${one} is how many ${small}`, `There are ${factor} ${small} in ${an} ${one}.`, 5);
    if (!told) maker.ask('zh', `一${zhBig}有多少${zhSmall}？ | 一${zhBig}等于多少${zhSmall}？ | 1${zhBig}是多少${zhSmall}？ | 一${zhBig}是几${zhSmall}？`, `一${zhBig}有${factor}${zhSmall}。`, 5);
    for (const n of [2, 3, 4, 5, 10]) {
      maker.ask('en', `How many ${small} are in ${n} ${many}? | ${n} ${many} is how many ${small}?`, `There are ${n * factor} ${small} in ${n} ${many}.`);
      maker.ask('zh', `${n}${zhBig}是多少${zhSmall}？ | ${n}${zhBig}等于多少${zhSmall}？`, `${n}${zhBig}是${n * factor}${zhSmall}。`);
    }
  }
  for (let i = 0; i < 40; i += 1) {
    const hour = maker.between(1, 11);
    const later = maker.between(1, 12 - hour);
    maker.ask('en', `It is ${hour} o'clock. What time is it in ${later} hour${later === 1 ? '' : 's'}?`, `It will be ${hour + later} o'clock.`);
    maker.ask('zh', `现在${hour}点，${later}个小时以后是几点？`, `${later}个小时以后是${hour + later}点。`);
  }
  return maker;
}

/** Remembering, sorting and picking from a list the user gave. */
function lists(tables: Tables): Maker {
  const maker = new Maker('lists', 18);
  const rows: readonly Row[] = (tables.get('words') ?? []).filter((row) => row['kind'] === 'food' || row['kind'] === 'animal' || row['kind'] === 'thing');
  if (rows.length < 5) return maker;
  const draw = (count: number): Row[] => {
    const chosen = new Set<Row>();
    while (chosen.size < count) chosen.add(maker.pick(rows));
    return [...chosen];
  };
  const and = (items: readonly string[], last: string): string => `${items.slice(0, -1).join(', ')} ${last} ${items.at(-1) ?? ''}`;
  for (let i = 0; i < 120; i += 1) {
    const chosen = draw(maker.between(3, 4));
    const en = chosen.map((row) => row['en'] ?? '');
    const zh = chosen.map((row) => row['zh'] ?? '');
    const at = maker.random.below(2);
    const place = maker.pick([['first', '第一个', 0], ['last', '最后一个', en.length - 1], ['second', '第二个', 1]] as const);
    if (i % 3 === 0) {
      maker.talk('en', [`${maker.pick(['Remember these words', 'Please remember', 'Remember this list'])}: ${en.join(', ')}.`, maker.pick(['OK, I will remember them.', 'Got it.']),
        maker.pick(['What were the words?', 'What was on the list?', 'Repeat the list.', 'Which words did I tell you?']), `The words were ${and(en, 'and')}.`]);
      maker.talk('zh', [`${maker.pick(['请记住这些词', '记住', '记住这个清单'])}：${zh.join('、')}。`, maker.pick(['好的，我记住了。', '记住了。']),
        maker.pick(['刚才有哪些词？', '清单上有什么？', '重复一遍。', '我刚才说了哪些词？']), `刚才的词是${zh.join('、')}。`]);
    } else if (i % 3 === 1) {
      maker.ask('en', `What is the ${place[0]} word: ${en.join(', ')}? | Which word is ${place[0]} in this list: ${en.join(', ')}? | ${capitalized(en.join(', '))}. Which one is ${place[0]}?`, `The ${place[0]} one is ${en[place[2]] ?? ''}.`);
      maker.ask('zh', `${zh.join('、')}，${place[1]}是什么？ | 这些词里${place[1]}是哪个：${zh.join('、')}？`, `${place[1]}是${zh[place[2]] ?? ''}。`);
    } else {
      const sorted = en.toSorted();
      maker.ask('en', `Sort these words alphabetically: ${en.join(', ')}. | Put in alphabetical order: ${en.join(', ')}`, `${capitalized(sorted.join(', '))}.`);
      maker.ask('en', `How many words are in this list: ${en.join(', ')}? | How many things are these: ${en.join(', ')}?`, `There are ${inEnglish(en.length)}.`);
      maker.ask('zh', `这里有几样东西：${zh.join('、')}？ | 数一数：${zh.join('、')}，一共几样？`, `一共有${HAN[zh.length] ?? ''}样。`);
      maker.ask('en', `Pick one: ${en[0] ?? ''} or ${en[1] ?? ''}? | ${capitalized(en[0] ?? '')} or ${en[1] ?? ''}?`, `I'll pick ${en[at] ?? ''}.`);
      maker.ask('zh', `${zh[0] ?? ''}还是${zh[1] ?? ''}？ | 选一个：${zh[0] ?? ''}还是${zh[1] ?? ''}？`, `我选${zh[at] ?? ''}。`);
    }
  }
  return maker;
}

/** Is a dog an animal? Which of these is not? */
function kinds(tables: Tables): Maker {
  const maker = new Maker('kinds', 19);
  const fruit = new Set(['apple', 'banana', 'orange', 'grape', 'pear', 'peach', 'watermelon', 'strawberry', 'lemon', 'cherry', 'mango', 'pineapple']);
  const all = (tables.get('words') ?? []).filter((row) => /^[a-z]+$/.test(row['en'] ?? '') && !/[^s]s$/.test(row['en'] ?? ''));
  const of = (kind: string): Row[] => all.filter((row) => row['kind'] === kind);
  const fruits = all.filter((row) => fruit.has(row['en'] ?? ''));
  const animals = of('animal').filter((row) => !['pet', 'fly'].includes(row['en'] ?? ''));
  const things = of('thing').filter((row) => !['money', 'medicine', 'paper', 'television'].includes(row['en'] ?? ''));
  const groups = [
    { rows: animals, en: 'an animal', zh: '动物' },
    { rows: fruits, en: 'a fruit', zh: '水果' },
    { rows: of('colour'), en: 'a colour', zh: '颜色' },
  ];
  const word = (row: Row, language: Language): string => row[language] ?? '';
  const a = (row: Row, article: boolean): string => (article ? withArticle(word(row, 'en')) : word(row, 'en'));
  for (const [at, group] of groups.entries()) {
    const article = group.zh !== '颜色';
    for (let i = 0; i < 45; i += 1) {
      const inside = maker.pick(group.rows);
      const second = maker.pick(group.rows.filter((row) => row !== inside));
      const third = maker.pick(group.rows.filter((row) => row !== inside && row !== second));
      const outside = maker.pick(maker.random.uniform() < 0.5 ? things : (groups[at === 0 ? 1 : 0]?.rows ?? things));
      const outsideArticle = outside['kind'] !== 'colour';
      const [en, zh] = [word(inside, 'en'), word(inside, 'zh')];
      if (i % 2 === 0) {
        maker.ask('en', `Is ${a(inside, article)} ${group.en}? | is ${a(inside, article)} ${group.en}`, `Yes, ${a(inside, article)} is ${group.en}.`);
        maker.ask('zh', `${zh}是${group.zh}吗？ | ${zh}是不是${group.zh}？`, `是的，${zh}是${group.zh}。`);
        maker.ask('en', `Is ${a(outside, outsideArticle)} ${group.en}? | is ${a(outside, outsideArticle)} ${group.en}`, `No, ${a(outside, outsideArticle)} is not ${group.en}.`);
        maker.ask('zh', `${word(outside, 'zh')}是${group.zh}吗？ | ${word(outside, 'zh')}是不是${group.zh}？`, `不是，${word(outside, 'zh')}不是${group.zh}。`);
      } else {
        const rows = [inside, second, third];
        rows.splice(maker.random.below(4), 0, outside);
        const list = (language: Language): string => rows.map((row) => word(row, language)).join(language === 'en' ? ', ' : '、');
        maker.ask('en', `Which word does not belong: ${list('en')}? | Find the odd one out: ${list('en')} | Which one is not ${group.en}: ${list('en')}?`, `${capitalized(word(outside, 'en'))}, because it is not ${group.en}.`);
        maker.ask('zh', `哪个词不是一类：${list('zh')}？ | 找出不同类的：${list('zh')} | ${list('zh')}，哪个不是${group.zh}？`, `${word(outside, 'zh')}，因为它不是${group.zh}。`);
        maker.ask('en', `Which one is ${group.en}, ${en} or ${word(outside, 'en')}? | ${capitalized(word(outside, 'en'))} or ${en}: which is ${group.en}?`, `${capitalized(a(inside, article))} is ${group.en}.`);
        maker.ask('zh', `${zh}和${word(outside, 'zh')}，哪个是${group.zh}？ | ${word(outside, 'zh')}和${zh}哪一个是${group.zh}？`, `${zh}是${group.zh}。`);
      }
    }
  }
  return maker;
}
