/** Language and appearance. */
import type { ReactNode } from 'react';
import { useTexts } from '../i18n.ts';
import { setPreferences, usePage } from '../state.ts';
import { Choice } from './choice.tsx';
import { settingsTexts } from './settings-texts.ts';

export function GeneralPanel(): ReactNode {
  const t = useTexts(settingsTexts);
  const { language, theme } = usePage((state) => state.preferences);
  const version = usePage((state) => state.session?.version);
  return (
    <>
      <Choice
        label={t('language')} value={language} onChange={(value) => setPreferences({ language: value })}
        // Languages are named by themselves, so that nobody is locked in one that they cannot read.
        options={[{ value: 'auto', label: t('languageAuto') }, { value: 'en', label: 'English' }, { value: 'zh', label: '中文' }]}
      />
      <Choice
        label={t('theme')} value={theme} onChange={(value) => setPreferences({ theme: value })}
        options={[{ value: 'system', label: t('themeSystem') }, { value: 'light', label: t('themeLight') }, { value: 'dark', label: t('themeDark') }]}
      />
      {version !== undefined && <p className="settings-version">{t('version', { version })}</p>}
    </>
  );
}
