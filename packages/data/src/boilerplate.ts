/** Lines that are the frame of a page rather than its text: known by what they say, or by standing in many documents. */

/** Whole lines, in lower case, without marks at their ends. English, German, French, Spanish and Chinese pages' own. */
const NAVIGATION = new RegExp(`^(?:${[
  'skip to (?:main )?(?:content|navigation)', 'jump to navigation', '(?:main|site) menu', 'toggle navigation', 'back to (?:top|home)', '(?:log|sign) (?:in|up|out)(?: ?(?:/|\\||or) ?(?:log|sign) (?:in|up))?',
  'home(?: ?[|>»/] ?.{1,60})+', 'read more', 'continue reading', 'learn more', 'show (?:more|less)', 'load more', 'click here(?: to .{1,40})?', 'subscribe (?:now|to .{1,60})',
  'share (?:this|on .{1,40})(?:.{0,30})', 'follow us(?: on .{1,60})?', 'leave a (?:comment|reply)', '\\d+ (?:comments?|shares?|likes?|views?)', '(?:previous|next) (?:post|article|page)',
  'related (?:posts?|articles?|stories)', 'you may also like', 'advertisement', 'sponsored(?: content)?', 'print(?: this page)?', 'email this', 'terms (?:of (?:use|service)|and conditions)', 'privacy policy', 'cookie (?:policy|settings)',
  'all rights reserved', '(?:copyright|©|\\(c\\)) *(?:©|\\(c\\))? *(?:by .{1,40} )?\\d{4}.{0,80}', 'powered by .{1,40}', 
  'zum inhalt springen', 'impressum', 'datenschutz(?:erklärung)?', 'weiterlesen', 'aller au contenu', 'mentions légales', 'lire la suite', 'politique de confidentialité', 'saltar al contenido', 'leer más', 'aviso legal',
  '(?:返回)?(?:首页|首頁)(?: ?[|>»›/] ?.{1,40})*', '(?:上|下)一(?:篇|页|頁|章|节|節)(?:[:：].{0,60})?', '返回(?:顶部|頂部|目录|目錄|列表)', '(?:登录|登錄|登入|注册|註冊)(?: ?[|/] ?(?:注册|註冊|登录|登入))?', '(?:阅读|閱讀)(?:全文|更多)', '(?:点击|點擊|查看)(?:查看|阅读|更多|此处)?(?:全文|更多|详情|詳情)?',
  '(?:分享|转发|轉發)(?:到|至)?.{0,12}', '(?:相关|相關|推荐|推薦|热门|熱門)(?:文章|阅读|閱讀|推荐|新闻|新聞)', '(?:版权|版權)所有.{0,60}', '.{0,20}icp备.{0,30}', '(?:关注|扫码|扫描).{0,12}(?:公众号|二维码).{0,20}', '责任编辑[:：].{0,20}', '(?:广告|廣告)', '免责声明', '隐私政策',
].join('|')})$`, 'u');

/** A banner, wherever its line begins. */
const COOKIES = /\b(?:we|this (?:web)?site|our (?:web)?site|our partners)\b.{0,60}\buses?d? .{0,20}\bcookies\b|\baccept (?:all )?cookies\b|\bcookies? (?:policy|settings|preferences|consent)\b.{0,80}$|verwende[tn].{0,30}cookies|utilis(?:e|ons).{0,30}cookies|(?:utiliza|usa)(?:mos)?.{0,20}cookies|本(?:网站|網站|站)使用.{0,10}cookie/iu;

/** Whether a line by itself is a page's frame. Long lines are never. */
export function isNavigation(line: string): boolean {
  const bare = line.trim();
  if (bare.length === 0 || bare.length > 400) return false;
  if (COOKIES.test(bare)) return true;
  return bare.length <= 120 && NAVIGATION.test(bare.toLowerCase().replace(/^[\s|>»›•·*←→<[\]-]+|[\s|>»›•·*←→.!:\]-]+$/g, ''));
}

/** Lines shorter than this (in UTF-16 units, Chinese counted three times) are headings as often as frames: "History", "See also". */
const SHORTEST = 12;

/**
 * Lines that stand in more than so many documents of a source, counted in bounded memory: lossy counting (Manku and Motwani,
 * "Approximate Frequency Counts over Data Streams", VLDB 2002). Never takes a line for more frequent than it is; of N lines of
 * documents it misses at most those with fewer than N / capacity more than the limit.
 */
export class SharedLines {
  readonly #limit: number;
  readonly #capacity: number;
  readonly #counts = new Map<number, { count: number; missed: number }>();
  #lines = 0;
  #bucket = 0;

  /** `limit`: documents a line may stand in. `capacity`: lines between two clearings; a few times as many are held at most. */
  constructor(limit: number, capacity = 1 << 19) {
    this.#limit = limit;
    this.#capacity = capacity;
  }

  /** Counts each line of a document once. */
  add(text: string): void {
    for (const key of new Set(text.split('\n').map(lineKey))) {
      if (key === null) continue;
      const entry = this.#counts.get(key);
      if (entry === undefined) this.#counts.set(key, { count: 1, missed: this.#bucket });
      else entry.count++;
      if (++this.#lines % this.#capacity === 0) this.#clear();
    }
  }

  /** Whether a line stands in more documents than the limit. */
  has(line: string): boolean {
    const key = lineKey(line);
    return key !== null && (this.#counts.get(key)?.count ?? 0) > this.#limit;
  }

  get size(): number {
    return this.#counts.size;
  }

  #clear(): void {
    this.#bucket++;
    for (const [key, { count, missed }] of this.#counts) if (count + missed <= this.#bucket) this.#counts.delete(key);
  }
}

/** 53 bits of a line's text, digits and case aside; null for lines that are too short to tell. */
function lineKey(line: string): number | null {
  const bare = line.trim();
  if (bare.length > 1000) return null;
  const weight = bare.length < SHORTEST ? bare.length + 2 * (bare.match(/\p{Script=Han}/gu)?.length ?? 0) : SHORTEST;
  if (weight < SHORTEST) return null;
  let low = 0x811c9dc5;
  let high = 0x2c1b3c6d;
  for (const character of bare.toLowerCase().replace(/\d+/g, '0')) {
    const code = character.codePointAt(0) ?? 0;
    low = Math.imul(low ^ code, 0x01000193);
    high = Math.imul(high ^ code, 0x85ebca6b) ^ (high >>> 15);
  }
  return (high >>> 0) * 2 ** 21 + ((low >>> 0) >>> 11);
}
