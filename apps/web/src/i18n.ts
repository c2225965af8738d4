/**
 * The page's words, in English and Chinese. Each part of the page defines its texts beside itself:
 *
 *     const texts = defineTexts({ copied: 'Copied', left: '{count} left' }, { copied: '已复制', left: '还剩 {count}' });
 *     function Part() { const t = useTexts(texts); return t('left', { count: 3 }); }
 *
 * A text that is missing in one language does not compile.
 */
import { useMemo } from 'react';
import { usePage } from './state.ts';

export type Language = 'en' | 'zh';
export type Values = Readonly<Record<string, string | number>>;
export type Translate<Key extends string> = (key: Key, values?: Values) => string;
export type Texts<Key extends string> = Readonly<Record<Language, Readonly<Record<Key, string>>>>;

export function defineTexts<const Key extends string>(en: Readonly<Record<Key, string>>, zh: Readonly<Record<NoInfer<Key>, string>>): Texts<Key> {
  return { en, zh };
}

/** `{name}` is replaced by `values.name`; numbers as the language writes them. */
export function translate<Key extends string>(texts: Texts<Key>, language: Language, key: Key, values: Values = {}): string {
  return texts[language][key].replace(/\{(\w+)\}/g, (whole, name: string) => {
    const value = values[name];
    if (value === undefined) return whole;
    return typeof value === 'number' ? value.toLocaleString(language === 'zh' ? 'zh-CN' : 'en') : value;
  });
}

/** The person's choice, else the server's suggestion, else the browser's language. */
export function resolveLanguage(choice: Language | 'auto', locale: string | undefined, browser: readonly string[]): Language {
  if (choice !== 'auto') return choice;
  const first = locale ?? browser[0] ?? 'en';
  return first.toLowerCase().startsWith('zh') ? 'zh' : 'en';
}

export function useLanguage(): Language {
  return usePage((state) => resolveLanguage(state.preferences.language, state.session?.locale, navigator.languages));
}

/** Changes with the language only, so it may stand in lists of dependencies. */
export function useTexts<Key extends string>(texts: Texts<Key>): Translate<Key> {
  const language = useLanguage();
  return useMemo(() => (key: Key, values?: Values) => translate(texts, language, key, values), [texts, language]);
}
