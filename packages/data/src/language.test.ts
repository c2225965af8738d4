import { expect, test } from 'vitest';
import { COMMON_WORDS } from './common-words.ts';
import { identifyLanguage, isAmong, LANGUAGES } from './language.ts';

test.each([
  ['en', 'The train was late again, so we walked home in the rain and talked about the summer.'],
  ['fr', 'Le train était encore en retard, alors nous sommes rentrés à pied sous la pluie.'],
  ['de', 'Der Zug hatte schon wieder Verspätung, deshalb sind wir im Regen nach Hause gelaufen.'],
  ['es', 'El tren llegó tarde otra vez, así que volvimos a casa andando bajo la lluvia.'],
  ['it', 'Il treno era di nuovo in ritardo, quindi siamo tornati a casa a piedi sotto la pioggia.'],
  ['pt', 'O comboio atrasou-se outra vez, por isso fomos para casa a pé e falámos do verão.'],
  ['nl', 'De trein was weer te laat, dus we liepen in de regen naar huis en praatten over de zomer.'],
  ['pl', 'Pociąg znowu się spóźnił, więc wróciliśmy do domu pieszo w deszczu.'],
  ['tr', 'Tren yine geç kaldı, bu yüzden yağmurda eve yürüdük ve yazdan konuştuk.'],
  ['vi', 'Tàu lại đến trễ, vì thế chúng tôi đi bộ về nhà dưới mưa và nói chuyện về mùa hè.'],
  ['ru', 'Поезд снова опоздал, поэтому мы пошли домой пешком под дождём и говорили о лете.'],
  ['uk', 'Потяг знову запізнився, тому ми пішли додому пішки під дощем і говорили про літо.'],
  ['ar', 'تأخر القطار مرة أخرى، لذلك مشينا إلى البيت تحت المطر وتحدثنا عن الصيف.'],
  ['fa', 'قطار دوباره دیر کرد، بنابراین زیر باران پیاده به خانه رفتیم و درباره تابستان صحبت کردیم.'],
  ['hi', 'ट्रेन फिर से देर से आई, इसलिए हम बारिश में पैदल घर गए और गर्मियों के बारे में बात की।'],
  ['zh-Hans', '火车又晚点了，我们只好冒雨走回家，一路上谈论着夏天。'],
  ['zh-Hant', '火車又誤點了，我們只好冒雨走回家，一路上談論著夏天。'],
  ['zh', '一二三四五，上山打老虎。'],
  ['ja', '電車がまた遅れたので、雨の中を歩いて帰り、夏のことを話した。'],
  ['ko', '기차가 또 늦어서 우리는 비를 맞으며 집까지 걸어갔다.'],
  ['el', 'Το τρένο άργησε πάλι και γυρίσαμε σπίτι με τα πόδια.'],
  ['he', 'הרכבת איחרה שוב ולכן הלכנו הביתה ברגל בגשם.'],
  ['th', 'รถไฟมาสายอีกแล้ว เราจึงเดินกลับบ้านกลางสายฝน'],
  ['und', ''], ['und', '12345 + 67890 = 😀'], ['und', 'xqzv wkjh pfrt mnbv zzxq qqwk'],
])('%s: %s', (language, text) => {
  expect(identifyLanguage(text).language).toBe(language);
});

test('short everyday sentences of English, French and German: at least 26 of 30', () => {
  const sentences = {
    en: ['I am tired.', 'Where do you live?', 'She likes apples.', 'He never came back.', 'It is raining.', 'What time is it?', 'Can you help me?', 'They left early.', 'My dog is old.', 'We need more time.'],
    fr: ['Je suis fatigué.', 'Où habites-tu ?', 'Elle aime les pommes.', 'Il pleut encore.', 'Quelle heure est-il ?', 'Peux-tu m\'aider ?', 'Ils sont partis tôt.', 'Mon chien est vieux.', 'C\'est à toi ?', 'Nous avons faim.'],
    de: ['Ich bin müde.', 'Wo wohnst du?', 'Sie mag Äpfel.', 'Er kam nie zurück.', 'Es regnet.', 'Wie spät ist es?', 'Kannst du mir helfen?', 'Sie gingen früh.', 'Mein Hund ist alt.', 'Wir haben Hunger.'],
  };
  const right = Object.entries(sentences).flatMap(([language, texts]) => texts.filter((text) => identifyLanguage(text).language === language));
  expect(right.length).toBeGreaterThanOrEqual(26);
});

test('code, addresses and names in other scripts do not change what a text is in', () => {
  expect(identifyLanguage('用 `git rebase` 命令可以整理这些提交。\n```sh\ngit rebase --interactive HEAD~3 # and then edit the list of commits\n```\n然后再推送。').language).toBe('zh-Hans');
  expect(identifyLanguage('北京 (Běijīng) is the capital of China, and 上海 (Shanghai) is its largest city.').language).toBe('en');
  expect(identifyLanguage('她最喜欢的动画是《となりのトトロ》，看了很多遍，还买了原声音乐。').language).toBe('zh-Hans');
});

test('confidence is 0 to 1, and higher for a paragraph than for a mixture', () => {
  const paragraph = identifyLanguage('The train was late again, so we walked home in the rain and talked about the summer.').confidence;
  const mixture = identifyLanguage('The train was late again 火车又晚点了我们只好冒雨').confidence;
  expect(paragraph).toBeGreaterThan(0.99);
  expect(mixture).toBeLessThan(0.8);
});

test('zh stands for both scripts; Chinese that is written alike in both is in either', () => {
  expect([isAmong('zh-Hans', ['zh']), isAmong('zh', ['zh-Hant']), isAmong('zh-Hans', ['zh-Hant']), isAmong('en', ['zh', 'en']), isAmong('und', ['en'])])
    .toEqual([true, true, false, true, false]);
});

test('every list of common words belongs to a language that is known and says nothing twice', () => {
  for (const [language, words] of COMMON_WORDS) {
    expect(LANGUAGES).toContain(language);
    expect(words.size).toBeGreaterThan(25);
  }
});
