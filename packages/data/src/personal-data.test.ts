import { expect, test } from 'vitest';
import { isbn, luhn, mod11, mod97 } from './personal-data/checksums.ts';
import { PERSONAL_DATA_KINDS, type PersonalDataKind } from './personal-data/finding.ts';
import { findPersonalData, maskPersonalData, PLACEHOLDERS } from './personal-data.ts';
import { keyOf } from './permutation.ts';

const only = (text: string): string => maskPersonalData(text).text;

test.each<[kind: PersonalDataKind, text: string]>([
  ['email', 'jane.doe+news@mail.example-shop.co.uk'], ['email', '767514612@qq.com'], ['email', 'o_brien@sub.department.university.edu'],
  ['email', 'jane [at] shop [dot] org'], ['email', 'jane(at)shop.de'], ['email', 'ＪＡＮＥ＠163.com'],
  ['phone', '+1 (415) 555-2671'], ['phone', '(415) 555-2671'], ['phone', '415-555-2671'], ['phone', '415.555.2671'], ['phone', '1-800-273-8255'],
  ['phone', '+44 20 7946 0958'], ['phone', '+44 (0)20 7946 0958'], ['phone', '020 7946 0958'], ['phone', '(020) 7946 0958'], ['phone', '07700 900123'],
  ['phone', '08712300220'], ['phone', '0044 20 7946 0958'], ['phone', '+447446462146'],
  ['phone', '+86 138 0013 8000'], ['phone', '+8613800138000'], ['phone', '138-0013-8000'], ['phone', '138 0013 8000'], ['phone', '010-63553377'],
  ['phone', '(0755) 2345 6789'], ['phone', '（０２１）6234-5678'], ['phone', '400-810-8888'], ['phone', '008613800138000'], ['phone', '0594-2817777'],
  ['phone', '+33 1 45 38 52 59'], ['phone', '06 11 30 76 35'], ['phone', '+49 (221) 123456-0'], ['phone', '0221/1234567'], ['phone', '03-1234-5678'],
  ['phone', '090-1234-5678'], ['phone', '+91 11 3955 5000'], ['phone', '+852 8177 7778'], ['phone', '(11) 91234-5678'], ['phone', '0412 345 678'],
  ['card', '4012 8888 8888 1881'],
  ['card', '5555-5555-5555-4444'], ['card', '3782 822463 10005'], ['card', '6011000990139424'], ['card', '3530 1113 3330 0000'], ['card', '6212345678901232'],
  ['iban', 'GB82 WEST 1234 5698 7654 32'], ['iban', 'DE89370400440532013000'], ['iban', 'FR14 2004 1010 0505 0001 3M02 606'], ['iban', 'NO93-8601-1117-947'],
  ['identity', '078-05-1120'], ['identity', '11010519491231002X'], ['identity', '11010519491231002x'], ['identity', 'A123456789'], ['identity', 'A123456(3)'],
  ['identity', '12345678Z'], ['identity', 'X1234567L'], ['identity', 'RSSMRA85T10A562S'], ['identity', '2 55 08 14 168 025 38'], ['identity', 'AB 12 34 56 C'],
  ['identity', '111.444.777-35'], ['identity', '811218-9876'], ['identity', '131052-308T'],
  ['ip', '93.184.216.34'], ['ip', '2606:2800:220:1:248:1893:25c8:1946'], ['ip', '2409:8c70:3a00:42:3a::1'], ['ip', '208.80.152.201'],
])('%s: %s is masked whole: in English, in Chinese, in quotes, at either end', (kind, text) => {
  for (const [before, after] of [['', ''], ['It is ', '.'], ['它是', '，请记下。'], ['("', '")'], ['a: ', '\nb'], ['<', '>'], ['x, ', ', y']] as const) {
    expect(maskPersonalData(before + text + after)).toEqual({ text: before + PLACEHOLDERS[kind] + after, found: { [kind]: 1 } });
  }
});

test.each([
  ['Call 555-0134 now', 'Call <PHONE> now'], ['tel: 1234567', 'tel: <PHONE>'], ['我的电话是13800138000。', '我的电话是<PHONE>。'], ['打这个：15210801573', '打这个：<PHONE>'],
  ['their phone number is 55 8647 5450.', 'their phone number is <PHONE>.'], ['电话：010-67389898,010-67383333', '电话：<PHONE>,<PHONE>'],
  ['My SSN is 123456789.', 'My SSN is <ID>.'], ['身份证号：110105491231002', '身份证号：<ID>'], ['PESEL: 44051401359', 'PESEL: <ID>'],
  ['Aadhaar 2345 6789 0124', 'Aadhaar <ID>'], ['passport no. C1234567', 'passport no. <ID>'], ['SIN 046 454 286', 'SIN <ID>'],
  ['call 08712460324 (10p/min)', 'call <PHONE> (10p/min)'], ['IP address 4.2.9.1', 'IP address <IP>'],
  ['Phones: 415-555-2671 / 415-555-2672', 'Phones: <PHONE> / <PHONE>'],
])('what only its label tells: %j becomes %j', (text, masked) => {
  expect(only(text)).toBe(masked);
});

test.each([
  // Years, dates, times, prices, amounts.
  'from 1990-1995 and 2003 - 2004, 1914–1918', '2019-05-11 10:20:30', '11/05/2019', '20190511', '2018-02-15至2018-02-18', '$1,234,567.89', '价格是16002460元',
  'US$ 4155552671', '1 000 000 people', '3.14159265358979', '1,234,567,890', '500-1000元', '0.844137708436', '6.02214076e23', '10 20 30 40 50 60',
  // Numbers of books, papers, laws, parts, orders.
  'ISBN 978-0-306-40615-7', 'ISBN 0306406152', '978-7-111-12345-3', '9780306406157', 'doi:10.1000/182123456', 'PMID 12345678', 'RFC 2606', 'arXiv:1706.03762',
  'order no. 59572726849', '订单编号59572726849', '发票号码：02840189', 'model 415-555', 'GSC 02652-01324', '编号由07001-07002起', 'invoice #4155552671',
  // Versions, sections, networks that are nobody's.
  'version 2.6.18.348', 'v1.2.3.4', 'Apache/1.3.3.7', 'Section 3.2.1.1', '127.0.0.1', '192.168.1.10', '10.0.0.138', '172.16.5.4', '255.255.255.0', '0.0.0.0',
  '192.0.2.55', '8.8.8.8', '300.1.2.3', '1.2.3.4.5', '::1', 'fe80::1ff:fe23:4567:890a', '2001:db8:85a3::8a2e:370:7334', 'std::vector', '12:34:56:78', '2001:db00::0',
  // Addresses of the web, files, code.
  'https://example.org/item/13800138000', 'www.shop.com/p/415-555-2671', 'File:Portrait_(14782831055).jpg', 'git@github.com:owner/name.git', 'user@example.com', '<1896.697170952@dbc.mtview.ca.us>', '2.152.80.208.in-addr.arpa',
  '@babel/core@7.0.0', 'logo@2x.png', 'getty@tty1.service', 'postgres://user:pass@db.shop.com/x', 'chacha20-poly1305@openssh.com', 'name@localhost', '@someone.said',
  '00000013', '01101010101', '0x4155552671', 'sum=4155552671', '123456789012345678901234567890', '(87510-84087)', '01 02 03 04 05',
  // Nearly.
  '4012 8888 8888 1882', 'GB82 WEST 1234 5698 7654 33', '110105194912310021', '11010519491331002X', 'A123456788', '12345678A', '000-12-3456', '666-12-3456', '915-123-45678',
  'met at the at-bat', '会议号码', '第3条第2款', '我考了100分，你考了99分',
])('left as it is: %j', (text) => {
  expect(maskPersonalData(text)).toEqual({ text, found: {} });
  expect(only(`那是 ${text} 吗`)).toBe(`那是 ${text} 吗`);
});

test('eleven digits alone are a Chinese mobile number only in Chinese company', () => {
  expect(only('the primes 1372933 and 18848997161')).toBe('the primes 1372933 and 18848997161');
  expect(only('质数18848997161')).toBe('质数<PHONE>');
});

test('masking is done once: a masked text has nothing more to mask, and what is not masked is unchanged', () => {
  const text = 'Mail jane@shop.org or ring +44 20 7946 0958 / 138 0013 8000, card 5555 5555 5555 4444, GB82WEST12345698765432, from 93.184.216.34; 号码13800138000。';
  const { text: masked, found } = maskPersonalData(text);
  expect(masked).toBe('Mail <EMAIL> or ring <PHONE> / <PHONE>, card <CARD>, <IBAN>, from <IP>; 号码<PHONE>。');
  expect(found).toEqual({ email: 1, phone: 3, card: 1, iban: 1, ip: 1 });
  expect(maskPersonalData(masked)).toEqual({ text: masked, found: {} });
  const findings = findPersonalData(text);
  expect(findings.map(({ kind }) => kind)).toEqual(['email', 'phone', 'phone', 'card', 'iban', 'ip', 'phone']);
  expect(findings.every(({ start, end }, i) => start < end && start >= (findings[i - 1]?.end ?? 0))).toBe(true);
});

test('only the kinds asked for, with the placeholders asked for', () => {
  const text = 'jane@shop.org, 415-555-2671';
  expect(maskPersonalData(text, { kinds: ['phone'] })).toEqual({ text: 'jane@shop.org, <PHONE>', found: { phone: 1 } });
  expect(only(text)).toBe('<EMAIL>, <PHONE>');
  expect(maskPersonalData(text, { placeholders: { email: '[mail]' } }).text).toBe('[mail], <PHONE>');
  expect(maskPersonalData(text, { kinds: [] })).toEqual({ text, found: {} });
  expect(Object.keys(PLACEHOLDERS).toSorted()).toEqual([...PERSONAL_DATA_KINDS].toSorted());
});

/** Seeded digits. */
function draws(seed: number): { below: (n: number) => number; digits: (n: number) => string } {
  let step = 0;
  const below = (n: number): number => keyOf(seed, step++) % n;
  return { below, digits: (n) => Array.from({ length: n }, () => below(10)).join('') };
}

const otherDigit = (text: string, at: number, by: number): string => text.slice(0, at) + ((Number(text[at]) + by) % 10) + text.slice(at + 1);

test('Luhn: of 300 numbers with the right check digit all are cards, and none is after any one digit was changed', () => {
  const { below, digits } = draws(1);
  const issuers = [['4', 16], ['51', 16], ['2221', 16], ['34', 15], ['6011', 16], ['3528', 16], ['36', 14], ['62', 19]] as const;
  for (let i = 0; i < 300; i++) {
    const [prefix, length] = issuers[below(issuers.length)] ?? ['4', 16];
    const body = prefix + digits(length - prefix.length - 1);
    const check = '0123456789'.split('').filter((digit) => luhn(body + digit));
    expect(check).toHaveLength(1);
    const card = body + (check[0] ?? '');
    expect(only(`pay with ${card} today`)).toBe('pay with <CARD> today');
    const grouped = length === 16 ? card.replace(/(\d{4})(?=\d)/g, '$1 ') : card;
    expect(only(grouped)).toBe('<CARD>');
    for (let at = 0; at < length; at++) expect(luhn(otherDigit(card, at, 1 + below(9)))).toBe(false);
  }
});

test('IBAN: of 300 accounts of 12 countries all are found, and none after a digit was changed or two unlike neighbours exchanged', () => {
  const { below, digits } = draws(2);
  const countries = [['DE', 22], ['FR', 27], ['GB', 22], ['ES', 24], ['IT', 27], ['NL', 18], ['BE', 16], ['CH', 21], ['AT', 20], ['PL', 28], ['SE', 24], ['NO', 15]] as const;
  for (let i = 0; i < 300; i++) {
    const [country, length] = countries[i % countries.length] ?? ['DE', 22];
    const bank = country === 'GB' ? 'WEST' : '';
    const body = bank + digits(length - 4 - bank.length);
    const check = Array.from({ length: 97 }, (_, n) => String(n + 2).padStart(2, '0')).filter((two) => mod97(country + two + body));
    expect(check).toHaveLength(1);
    const iban = `${country}${check[0] ?? ''}${body}`;
    expect(only(`to ${iban}.`)).toBe('to <IBAN>.');
    expect(only(`至${iban.replace(/(.{4})(?=.)/g, '$1 ')}。`)).toBe('至<IBAN>。');
    const at = 8 + below(length - 9);
    expect(mod97(otherDigit(iban, at, 1 + below(9)))).toBe(false);
    expect(mod97(iban.slice(0, at) + (iban[at + 1] ?? '') + (iban[at] ?? '') + iban.slice(at + 2))).toBe(iban[at] === iban[at + 1]);
  }
});

test('Chinese identity numbers: of 300 all are found, and none after a digit was changed; the check digit is that of the standard\'s weights', () => {
  const { below, digits } = draws(3);
  const weights = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
  for (let i = 0; i < 300; i++) {
    const region = ['110105', '310104', '440305', '510104', '330106', '820001'][below(6)] ?? '';
    const birth = `${1930 + below(90)}${String(1 + below(12)).padStart(2, '0')}${String(1 + below(28)).padStart(2, '0')}`;
    const body = region + birth + digits(3);
    const sum = weights.reduce((total, weight, at) => total + weight * Number(body[at]), 0);
    const id = body + '10X98765432'.charAt(sum % 11);
    expect(mod11(id)).toBe(true);
    expect(only(`身份证${id}号`)).toBe('身份证<ID>号');
    const at = below(17);
    const changed = otherDigit(id, at, 1 + below(9));
    expect(mod11(changed)).toBe(false);
    expect(findPersonalData(changed).filter(({ kind }) => kind === 'identity')).toEqual([]);
  }
});

test('ISBN: check digits of both lengths', () => {
  expect(['0306406152', '9780306406157', '080442957X'].map(isbn)).toEqual([true, true, true]);
  expect(['0306406153', '9780306406158', '1234567890123', ''].map(isbn)).toEqual([false, false, false, false]);
});

test('texts made to be slow are not: of 300 kB of any of these, under five seconds of processor time (they take a tenth; squares would take minutes)', () => {
  for (const piece of ['@', 'a@', 'a.', '1', '1 ', '1-', '(', '1.', 'A1', 'ab12 ', '2001:', 'at (', '0', '+1 ', '电话1', 'a[at]b.', '415-555-2671 ', 'call 1234567 ']) {
    const text = piece.repeat(Math.ceil(300_000 / piece.length));
    const started = process.cpuUsage();
    findPersonalData(text);
    expect(process.cpuUsage(started).user / 1e6, piece).toBeLessThan(5);
  }
});
