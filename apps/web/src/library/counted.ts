/** Texts that depend on a number: `left_one` and `left_other`, chosen by the language's own rules. */
import { useMemo } from 'react';
import { type Texts, translate, useLanguage, type Values } from '../i18n.ts';

/** `left` of `left_other`. */
export type Stem<Key extends string> = Key extends `${infer Name}_other` ? Name : never;
export type Count<Key extends string> = (stem: Stem<Key>, count: number, values?: Values) => string;

export function useCounted<Key extends string>(texts: Texts<Key>): Count<Key> {
  const language = useLanguage();
  return useMemo(() => {
    const rules = new Intl.PluralRules(language);
    return (stem, count, values) => {
      const category = rules.select(count) === 'one' ? 'one' : 'other';
      return translate(texts, language, `${stem}_${category}` as Key, { count, ...values });
    };
  }, [texts, language]);
}
