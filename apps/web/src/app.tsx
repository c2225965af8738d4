/** The page's frame: history at the side, the thread, and what lies over them. */
import { type ReactNode, useEffect } from 'react';
import { Toasts } from './components/toast.tsx';
import { Library } from './library/library.tsx';
import { Settings } from './library/settings.tsx';
import { useLanguage } from './i18n.ts';
import { usePage } from './state.ts';

export function App(): ReactNode {
  const theme = usePage((state) => state.preferences.theme);
  const language = useLanguage();
  useEffect(() => {
    if (theme === 'system') delete document.documentElement.dataset['theme'];
    else document.documentElement.dataset['theme'] = theme;
  }, [theme]);
  useEffect(() => {
    document.documentElement.lang = language === 'zh' ? 'zh-CN' : 'en';
  }, [language]);
  return (
    <>
      <Library />
      <Settings />
      <Toasts />
    </>
  );
}
