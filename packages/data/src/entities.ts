/** HTML character references to characters. */

/** Named references met in running text; Latin-1's accented letters are spelled from their parts below. */
const NAMED: Readonly<Record<string, string>> = {
  amp: '&', lt: '<', gt: '>', quot: '"', apos: '\'', nbsp: '\u00a0', ensp: '\u2002', emsp: '\u2003', thinsp: '\u2009', shy: '\u00ad',
  zwnj: '\u200c', zwj: '\u200d', mdash: '—', ndash: '–', hellip: '…', lsquo: '‘', rsquo: '’', sbquo: '‚', ldquo: '“', rdquo: '”', bdquo: '„',
  laquo: '«', raquo: '»', lsaquo: '‹', rsaquo: '›', bull: '•', middot: '·', copy: '©', reg: '®', trade: '™', deg: '°', plusmn: '±',
  times: '×', divide: '÷', frac12: '½', frac14: '¼', frac34: '¾', sup1: '¹', sup2: '²', sup3: '³', micro: 'µ', para: '¶', sect: '§',
  dagger: '†', Dagger: '‡', permil: '‰', prime: '′', Prime: '″', euro: '€', pound: '£', yen: '¥', cent: '¢', curren: '¤', iexcl: '¡', iquest: '¿',
  larr: '←', uarr: '↑', rarr: '→', darr: '↓', harr: '↔', rArr: '⇒', hArr: '⇔', minus: '−', le: '≤', ge: '≥', ne: '≠', asymp: '≈', equiv: '≡',
  infin: '∞', radic: '√', sum: '∑', prod: '∏', int: '∫', part: '∂', isin: '∈', forall: '∀', exist: '∃', empty: '∅', cap: '∩', cup: '∪',
  Alpha: 'Α', Beta: 'Β', Gamma: 'Γ', Delta: 'Δ', Theta: 'Θ', Lambda: 'Λ', Pi: 'Π', Sigma: 'Σ', Phi: 'Φ', Psi: 'Ψ', Omega: 'Ω',
  alpha: 'α', beta: 'β', gamma: 'γ', delta: 'δ', epsilon: 'ε', eta: 'η', theta: 'θ', lambda: 'λ', mu: 'μ', pi: 'π', rho: 'ρ', sigma: 'σ',
  tau: 'τ', phi: 'φ', chi: 'χ', psi: 'ψ', omega: 'ω', szlig: 'ß', aelig: 'æ', AElig: 'Æ', oelig: 'œ', OElig: 'Œ', oslash: 'ø', Oslash: 'Ø',
  aring: 'å', Aring: 'Å', eth: 'ð', ETH: 'Ð', thorn: 'þ', THORN: 'Þ', ordf: 'ª', ordm: 'º',
};

const ACCENTS: Readonly<Record<string, string>> = { grave: '\u0300', acute: '\u0301', circ: '\u0302', tilde: '\u0303', uml: '\u0308', cedil: '\u0327', caron: '\u030c' };

const WINDOWS_1252 = new TextDecoder('windows-1252');

/** `&amp;`, `&eacute;`, `&#233;`, `&#xe9;` to what they stand for; anything else stays as it is. */
export function decodeEntities(text: string): string {
  if (!text.includes('&')) return text;
  return text.replace(/&(?:#(\d{1,7})|#[xX]([\da-fA-F]{1,6})|([A-Za-z][A-Za-z\d]{1,9}));/g, (match, decimal?: string, hex?: string, name?: string) => {
    if (name === undefined) return fromCode(Number.parseInt(decimal ?? hex ?? '', decimal === undefined ? 16 : 10)) ?? match;
    if (Object.hasOwn(NAMED, name)) return NAMED[name] ?? match;
    const [, letter = '', accent = ''] = /^([A-Za-z])(\w+)$/.exec(name) ?? [];
    const composed = Object.hasOwn(ACCENTS, accent) ? `${letter}${ACCENTS[accent]}`.normalize('NFC') : '';
    return composed.length === 1 ? composed : match;
  });
}

/** As HTML has it: 128 to 159 mean Windows-1252's characters. */
function fromCode(code: number): string | null {
  if (code >= 0x80 && code <= 0x9f) return WINDOWS_1252.decode(Uint8Array.of(code));
  return code === 0 || code > 0x10_ffff || (code >= 0xd800 && code <= 0xdfff) ? null : String.fromCodePoint(code);
}
