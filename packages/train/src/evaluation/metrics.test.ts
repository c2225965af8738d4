import { Random } from '@parley/engine';
import { expect, test } from 'vitest';
import { answerScore, answerTokens } from './answers.ts';
import { bleuScore, bleuSignature, corpusBleu, sentenceBleu } from './bleu.ts';
import { bleuTokens } from './bleu-tokens.ts';
import { bootstrap, meanOf } from './bootstrap.ts';
import { chrfSignature, corpusChrf } from './chrf.ts';
import { accuracy, confusionMatrix, labelF1, macroF1, NO_LABEL } from './classification.ts';
import { textHealth } from './health.ts';
import { rougeL, rougeN } from './rouge.ts';

// Numbers below come from sacreBLEU's own tests (test_bleu.py, test_sentence_bleu.py, test_chrf.py; Apache-2.0), and from the
// documentation of Hugging Face's evaluate, which calls it. "By hand" marks those worked out here.
const HYPOTHESES = ['The dog bit the man.', 'It wasn\'t surprising.', 'The man had just bitten him.'];
const REFERENCES = [
  ['The dog bit the man.', 'The dog had bit the man.'],
  ['It was not unexpected.', 'No one was surprised.'],
  ['The man bit him first.', 'The man had bitten the dog.'],
];

test.each([
  [{}, 48.530827], [{ tokenize: '13a' }, 48.530827], [{ tokenize: 'none' }, 49.1919566], [{ smooth: 'none' }, 48.530827],
] as const)('corpus BLEU of sacreBLEU\'s own example with %j is %f within 1e-6', (options, expected) => {
  expect(corpusBleu(HYPOTHESES, REFERENCES, options).score).toBeCloseTo(expected, 6);
});

test('corpus BLEU of empty hypotheses is 0, and of evaluate\'s example 39.76353643835252 with its counts', () => {
  expect(corpusBleu(['', '', ''], REFERENCES).score).toBe(0);
  const hypotheses = ['hello there general kenobi', 'on our way to ankh morpork'];
  const result = corpusBleu(hypotheses, [['hello there general kenobi', 'hello there !'], ['goodbye ankh morpork', 'ankh morpork']]);
  expect(result.score).toBeCloseTo(39.76353643835252, 9);
  expect(result).toMatchObject({ brevityPenalty: 1, hypothesisLength: 10, referenceLength: 7 });
  result.precisions.forEach((precision, i) => expect(precision).toBeCloseTo([60, 50, 100 / 3, 25][i] ?? 0, 9));
});

test.each([
  // (Its first case, 0.0038 where nothing matches, is older than sacreBLEU's rule that nothing matching is 0.)
  [['this is a test'], ['this is a test'], 1], [['this is a fest'], ['this is a test'], 0.223606797749979],
  [['test'], ['a test'], 0.3678794411714425], [['a test'], ['a test'], 1], [['a little test'], ['a test'], 0.03218297948685433],
] as const)('raw corpus BLEU of %j against %j is %f within 1e-8', (hypotheses, references, expected) => {
  const options = { tokenize: 'none', smooth: 'floor', smoothValue: 0.01, effectiveOrder: true } as const;
  expect(corpusBleu(hypotheses, references.map((reference) => [reference]), options).score / 100).toBeCloseTo(expected, 8);
});

test('BLEU of given statistics: sacreBLEU\'s 0.8375922397, and 0 where they are degenerate', () => {
  expect(bleuScore(Float64Array.of(11, 11, 9, 7, 5, 3, 10, 8, 6, 4), { smooth: 'none' }).score / 100).toBeCloseTo(0.8375922397, 9);
  for (const [statistics, smoothValue] of [
    [[0, 1, 0, 0, 0, 0, 4, 4, 2, 1], 0], [[14, 10, 0, 0, 0, 0, 10, 11, 12, 0], 0], [[0, 0, 0, 0, 0, 0, 0, 0, 0, 0], 0],
    [[6, 6, 6, 5, 4, 0, 6, 5, 4, 3], 0], [[0, 0, 0, 0, 0, 0, 0, 0, 0, 0], 0.1], [[1, 5, 0, 0, 0, 0, 0, 0, 0, 0], 0.01],
  ] as const) {
    expect(bleuScore(Float64Array.from(statistics), { smooth: 'floor', smoothValue }).score).toBe(0);
  }
});

test.each([
  ['exp', undefined, '13a', false, 8.493], ['none', undefined, '13a', false, 0], ['floor', undefined, '13a', false, 4.51688], ['floor', 0.1, '13a', false, 4.51688],
  ['floor', 0.5, '13a', false, 10.1], ['add-k', undefined, '13a', false, 14.882], ['add-k', 1, '13a', false, 14.882], ['add-k', 2, '13a', false, 21.389],
  ['exp', undefined, 'none', false, 7.347], ['exp', undefined, 'char', false, 40.8759], ['exp', undefined, 'char', true, 42.0267],
] as const)('sentence BLEU with %s %s, %s, lowercase %s is %f within 1e-3', (smooth, smoothValue, tokenize, lowercase, expected) => {
  const hypothesis = 'Producția de zahăr primă va fi exprimată în ceea ce privește zahărul alb;';
  const { score } = sentenceBleu(hypothesis, ['producţia de zahăr brut se exprimă în zahăr alb;'], { smooth, smoothValue, tokenize, lowercase });
  expect(Math.abs(score - expected)).toBeLessThan(1e-3);
});

test.each(['exp', 'none', 'floor', 'add-k'] as const)('sentence BLEU with %s is 0 where nothing matches', (smooth) => {
  expect(sentenceBleu('this is a cat', ['okay thanks'], { smooth }).score).toBe(0);
});

test('13a and zh tokenization by hand, sacreBLEU\'s oddities included', () => {
  expect(bleuTokens('&quot;A 3.14, e.g. (x-1) 5-6&quot;', '13a')).toEqual(['"', 'A', '3.14', ',', 'e', '.', 'g', '.', '(', 'x-1', ')', '5', '-', '6', '"']);
  expect(bleuTokens('我有3.5个apple，“好”…', 'zh')).toEqual(['我', '有', '3.5', '个', 'apple', '，', '“', '好', '”', '…']);
  expect(bleuTokens('𠀀𠀁', 'zh')).toEqual(['𠀀𠀁']);
});

test('zh BLEU by hand: 4 of 5 characters, 3 of 4 pairs, 2 of 3, 1 of 2', () => {
  expect(sentenceBleu('我爱吃苹瓜', ['我爱吃苹果'], { tokenize: 'zh' }).score).toBeCloseTo(100 * (4 / 5 * 3 / 4 * 2 / 3 * 1 / 2) ** (1 / 4), 9);
});

test('signatures are sacreBLEU\'s', () => {
  expect(bleuSignature()).toBe('nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp');
  expect(bleuSignature({ smooth: 'floor', tokenize: 'zh', lowercase: true })).toBe('nrefs:1|case:lc|eff:no|tok:zh|smooth:floor[0.10]');
  expect(chrfSignature({ words: 2 })).toBe('nrefs:1|case:mixed|eff:yes|nc:6|nw:2|space:no');
});

test.each([
  ['abcdefg', 'hijklmnop', 0], ['a', 'b', 0], ['', 'b', 0], ['', 'reference', 0], ['aa', 'ab', 8.3333], ['a', 'a', 16.6667], ['a b c', 'a b c', 50], ['a b c', 'abc', 50],
  [' risk assessment must be made of those who are qualified and expertise in the sector - these are the scientists .',
    'risk assessment has to be undertaken by those who are qualified and expert in that area - that is the scientists .', 63.36173],
  [' Die    Beziehung zwischen  Obama und Netanjahu ist nicht gerade  freundlich. ',
    'Das Verhältnis zwischen Obama und Netanyahu ist nicht gerade freundschaftlich.', 64.1302698],
  ['Niemand hat die Absicht, eine Mauer zu errichten', 'Niemand hat die Absicht, eine Mauer zu errichten', 100],
])('chrF3 with epsilon smoothing of %j against %j is %f within 1e-4', (hypothesis, reference, expected) => {
  expect(Math.abs(corpusChrf([hypothesis], [[reference]], { beta: 3, epsilonSmoothing: true }) - expected)).toBeLessThan(1e-4);
});

test.each([
  [['a'], ['a'], 100], [[''], ['reference'], 0], [['a b c'], ['a b c'], 100], [['a b c'], ['abc'], 100], [[''], ['c'], 0], [['a', 'b'], ['a', 'c'], 50], [['aa'], ['ab'], 25],
] as const)('chrF3 with effective order of %j against %j is %f within 1e-4', (hypotheses, references, expected) => {
  expect(corpusChrf(hypotheses, references.map((reference) => [reference]), { beta: 3 })).toBeCloseTo(expected, 4);
});

test.each([
  ['Die Beziehung zwischen Obama und Netanjahu ist nicht gerade freundlich.', 'Das Verhältnis zwischen Obama und Netanyahu ist nicht gerade freundschaftlich.', 67.3481606],
  ['risk assessment must be made of those who are qualified and expertise in the sector - these are the scientists .',
    'risk assessment has to be undertaken by those who are qualified and expert in that area - that is the scientists .', 65.2414427],
])('chrF3 with white space of %j is as published within 1e-4', (hypothesis, reference, expected) => {
  expect(Math.abs(corpusChrf([hypothesis], [[reference]], { beta: 3, whitespace: true }) - expected)).toBeLessThan(1e-4);
});

test.each([
  ['Co nás nejvíc trápí, protože lékaři si vybírají, kdo bude žít a kdo zemře.', 'Nejvíce smutní jsme z toho, že musíme rozhodovat o tom, kdo bude žít a kdo zemře.', 39.14078509],
  ['Nebo prostě nemají vybavení, které by jim pomohlo, uvedli lékaři.', 'A někdy nemáme ani potřebný materiál, abychom jim pomohli, popsali lékaři.', 31.22557079],
  ['Lapali po dechu, jejich životy skončily dřív, než skutečně začaly.', 'Lapali po dechu a pak jejich život skončil - dřív, než skutečně mohl začít, připomněli.', 57.15704367],
])('sentence chrF2 of %j is as published within 1e-4', (hypothesis, reference, expected) => {
  expect(Math.abs(corpusChrf([hypothesis], [[reference]], { epsilonSmoothing: true }) - expected)).toBeLessThan(1e-4);
});

test.each([[{}, 84.64214891738334], [{ words: 2 }, 82.87263732906315], [{ words: 2, lowercase: true }, 92.12853119829202]] as const)(
  'chrF and chrF++ of evaluate\'s example with %j is %f within 1e-9', (options, expected) => {
    const hypotheses = ['The relationship between cats and dogs is not exactly friendly.', 'a good bookshop is just a genteel black hole that knows how to read.'];
    const references = [['The relationship between dogs and cats is not exactly friendly.'], ['A good bookshop is just a genteel Black Hole that knows how to read.']];
    expect(corpusChrf(hypotheses, references, options)).toBeCloseTo(expected, 9);
  });

// Random strings of rouge_score's test data (Apache-2.0); the numbers are of ROUGE-1.5.5, without stemming.
test.each([
  [
    'rFDJCRtion Ht-LM EKtDXkME,yz\'RBr q\'wer wrojNbN wL,b .a-\'XdQggyFl jB-RPP\'iyOIcUxi',
    'ZfbCUIUuePaiLVUlCaUXxkpu XPeWing tUHfPMuZ\',-Xd Y BrUgVJing M-HV.-DgdDaY.rFDJCRing Ht-LM EKBDXkME,yz\'RBr q\'wtion wIojNbN wL,b .a-\'XdQggyFl jB-RPP\'iyOIcUxer tKM L',
    [0.6875, 0.40741, 0.51163], [0.53333, 0.30769, 0.39024], [0.6875, 0.40741, 0.51163],
  ],
  [
    'n cw-WeFyu vC MoBL Xdn g wkvcEiGvKtion BDFhrpMer pstion sbKao Q m qier LMmed HqqLFXe,XPY,J XsurkMeo ,ed nB\'wH\'bWVHjWFEer tQ.saefZwJtKrTlixYpMMNJtion UCAPwNHeYVjD',
    'KsJdPByEtAor fE-Qg Dpdbring cw-WeFyu vC MoBL Xdn g wkvcEiGvKtion BDFhrpMtion psing sbKao Q m qiing LMmer HqqLF' +
      'Xe,XPY,J XsurkMer ,ed nB\'wH\'bWVHjWFEing tQ.saefZwJtKrTlixYpMMsJing UCAPwNHeYVjDing c T BUySKtion gMPfJpwGw p\'NvxAoping eu pBwMBKV\'I DNxqelhu,PHPxDEq,mtion SN',
    [0.65385, 0.40476, 0.5], [0.48, 0.29268, 0.36364], [0.65385, 0.40476, 0.5],
  ],
])('ROUGE-1, -2 and -L of %j are ROUGE-1.5.5\'s within 6e-6', (hypothesis, reference, ...expected) => {
  const scores = [rougeN(hypothesis, reference, 1), rougeN(hypothesis, reference, 2), rougeL(hypothesis, reference)];
  for (const [i, { precision, recall, f1 }] of scores.entries()) {
    for (const [k, value] of [precision, recall, f1].entries()) expect(Math.abs(value - (expected[i]?.[k] ?? -1))).toBeLessThan(6e-6);
  }
});

test('ROUGE: the cases of rouge_score\'s tests, and Chinese by characters', () => {
  expect(rougeN('testing', 'testing one two', 1)).toEqual({ precision: 1, recall: 1 / 3, f1: 1 / 2 });
  expect(rougeN('', 'testing one two', 1)).toEqual({ precision: 0, recall: 0, f1: 0 });
  expect(rougeN('testing one', 'testing one two', 2).f1).toBeCloseTo(2 / 3, 12);
  expect(rougeL('testing one', 'testing one two').f1).toBeCloseTo(4 / 5, 12);
  expect(rougeL('testing two', 'testing one two')).toEqual({ precision: 1, recall: 2 / 3, f1: 4 / 5 });
  expect(rougeN('我爱北京', '我爱上海', 1).f1).toBe(0.5);
  expect(rougeL('w1 w2 w6 w7 w8', 'w1 w2 w3 w4 w5').recall).toBe(0.4);
});

test('answers: SQuAD\'s normalization, and characters in Chinese', () => {
  expect(answerTokens('The  Eiffel-Tower, an icon!')).toEqual(['eiffeltower', 'icon']);
  expect(answerScore('the Denver Broncos.', ['Denver Broncos', 'Broncos'])).toEqual({ exact: 1, f1: 1 });
  expect(answerScore('in Denver Broncos stadium', ['Denver Broncos'])).toEqual({ exact: 0, f1: 2 / 3 });
  expect(answerScore('', ['x'])).toEqual({ exact: 0, f1: 0 });
  expect(answerScore('《战国无双》', ['战国无双'], 'zh')).toEqual({ exact: 1, f1: 1 });
  expect(answerScore('战国 2 代', ['战国3代'], 'zh').f1).toBe(0.75);
});

test('accuracy, F1 and confusion, by hand; an answer that names no label is wrong', () => {
  const labelled = { gold: Int32Array.of(0, 0, 1, 1, 2), predicted: Int32Array.of(0, 1, 1, NO_LABEL, 1), labels: 4 };
  expect(accuracy(labelled)).toBe(0.4);
  expect(labelF1(labelled)).toEqual([2 / 3, 0.4, 0, Number.NaN]);
  expect(macroF1(labelled)).toBeCloseTo((2 / 3 + 0.4) / 3, 12);
  expect(confusionMatrix(labelled)).toEqual([[1, 1, 0, 0, 0], [0, 1, 0, 0, 1], [0, 1, 0, 0, 0], [0, 0, 0, 0, 0]]);
});

test('health: empty, circling, wrong script', () => {
  expect(textHealth(' \n', 'en')).toEqual({ empty: true, repeated: 0, circling: false, wrongLanguage: false });
  expect(textHealth('yes it is yes it is yes it is yes it is yes it is')).toMatchObject({ circling: true });
  expect(textHealth('The quick brown fox jumps over the lazy dog.', 'zh')).toMatchObject({ wrongLanguage: true, circling: false });
  expect(textHealth('我喜欢 TypeScript 这个语言，因为它很好用而且类型安全。', 'zh').wrongLanguage).toBe(false);
  expect(textHealth('TypeScript is 好用 and so on', 'zh').wrongLanguage).toBe(true);
  expect(textHealth('我喜欢这个语言 (TS)，因为它很好用。', 'zh').wrongLanguage).toBe(false);
  expect(textHealth('42', 'en').wrongLanguage).toBe(false);
});

const random = new Random(17);
const sentence = (): string => Array.from({ length: 5 + random.below(8) }, () => 'the a cat dog sat ran 我 爱 , . mat'.split(' ')[random.below(11)]).join(' ');

test('50 random corpora: identical texts score 100, all scores lie in 0…100, and the order of segments does not matter within 1e-9', () => {
  for (let round = 0; round < 50; round++) {
    const references = Array.from({ length: 8 }, sentence);
    const hypotheses = Array.from({ length: 8 }, sentence);
    const scores = (texts: readonly string[], targets: readonly string[]): number[] => {
      const lists = targets.map((target) => [target]);
      return [corpusBleu(texts, lists).score, corpusBleu(texts, lists, { tokenize: 'zh' }).score, corpusChrf(texts, lists), corpusChrf(texts, lists, { words: 2 })];
    };
    for (const score of scores(references, references)) expect(score).toBeCloseTo(100, 9);
    const forward = scores(hypotheses, references);
    scores(hypotheses.toReversed(), references.toReversed()).forEach((score, i) => expect(score).toBeCloseTo(forward[i] ?? -1, 9));
    for (const score of forward) expect(score >= 0 && score <= 100).toBe(true);
    for (const [i, text] of hypotheses.entries()) {
      const target = references[i] ?? '';
      for (const { f1 } of [rougeN(text, target, 1), rougeN(text, target, 2), rougeL(text, target)]) expect(f1 >= 0 && f1 <= 1).toBe(true);
      expect(rougeL(text, target).f1).toBeLessThanOrEqual(rougeN(text, target, 1).f1 + 1e-12);
    }
  }
});

test('bootstrap: of 300 samples of 100 coin tosses, 90 to 99 % of the 95 % intervals hold the coin\'s share; the same seed gives the same', () => {
  const tosses = new Random(5);
  let held = 0;
  for (let trial = 0; trial < 300; trial++) {
    const values = Array.from({ length: 100 }, () => (tosses.uniform() < 0.3 ? 1 : 0));
    const [interval] = bootstrap([meanOf(values)], { items: 100, seed: trial, resamples: 300 });
    if (interval !== undefined && interval.low <= 0.3 && interval.high >= 0.3) held++;
  }
  expect(held / 300).toBeGreaterThan(0.9);
  expect(held / 300).toBeLessThan(0.99);
  const once = (): unknown => bootstrap([meanOf([1, 2, 3, 4])], { items: 4, seed: 3 });
  expect(once()).toEqual(once());
  expect(bootstrap([meanOf([])], { items: 0, seed: 1 })[0]?.value).toBeNaN();
});
