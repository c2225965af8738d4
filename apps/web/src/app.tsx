/** The page's frame: history at the side, the thread, and what lies over them. */
import { type ReactNode, useEffect, useState } from 'react';
import { type RequestError, toRequestError } from './api.ts';
import { client } from './client.ts';
import { Toasts } from './components/toast.tsx';
import { Header } from './header.tsx';
import { defineTexts, useLanguage, useTexts } from './i18n.ts';
import { Library } from './library/library.tsx';
import { useOpenTitle } from './library/list.ts';
import { Settings } from './library/settings.tsx';
import { SignIn } from './library/sign-in.tsx';
import { page, usePage, useStore } from './state.ts';
import { ThreadContext } from './thread/context.ts';
import { Details } from './thread/details.tsx';
import { Failure } from './thread/message-row.tsx';
import { createThread } from './thread/thread.ts';
import { ThreadView } from './thread/thread-view.tsx';

const texts = defineTexts({ noServer: 'Parley did not answer.', skip: 'To the message field' }, { noServer: 'Parley 没有回应。', skip: '跳到输入框' });

const thread = createThread(client);

export function App(): ReactNode {
  const t = useTexts(texts);
  useAppearance();
  const [error, retry] = useSession();
  const ready = usePage(({ session }) => session !== null);
  const signedOut = usePage(({ session }) => session !== null && session.signInRequired && session.user === null);
  return (
    <ThreadContext value={thread}>
      {error && !ready && <main className="notice-page"><Failure failure={error} title={t('noServer')} onRetry={retry} /></main>}
      {signedOut && <SignIn />}
      {ready && !signedOut && <Frame />}
      <Toasts />
    </ThreadContext>
  );
}

function Frame(): ReactNode {
  const t = useTexts(texts);
  useEffect(() => thread.start(), []);
  useEffect(() => {
    const load = (): void => void client.models().then((models) => page.set({ models }), () => undefined);
    load();
    const change = (): void => {
      page.set({ online: navigator.onLine });
      if (navigator.onLine) load();
    };
    addEventListener('online', change);
    addEventListener('offline', change);
    return () => {
      removeEventListener('online', change);
      removeEventListener('offline', change);
    };
  }, []);
  return (
    <div className="app">
      <button type="button" className="skip" onClick={() => document.querySelector<HTMLElement>('.composer textarea')?.focus()}>{t('skip')}</button>
      <Library />
      <div className="center">
        <Header />
        <ThreadView />
      </div>
      <Details />
      <Settings />
    </div>
  );
}

/** Who is there; asked again when the language of the browser or the server's mind may have changed: at every load. */
function useSession(): readonly [RequestError | null, () => void] {
  const [error, setError] = useState<RequestError | null>(null);
  const [attempt, setAttempt] = useState(0);
  useEffect(() => {
    let wanted = true;
    client.session().then(
      (session) => wanted && page.set({ session }),
      (failure: unknown) => wanted && setError(toRequestError(failure)),
    );
    return () => {
      wanted = false;
    };
  }, [attempt]);
  return [error, () => setAttempt(attempt + 1)];
}

/** The choice of theme and language, and the title, where the document itself has to know. */
function useAppearance(): void {
  const theme = usePage((state) => state.preferences.theme);
  const language = useLanguage();
  const title = useOpenTitle(useStore(thread.store, (state) => state.title));
  useEffect(() => {
    if (theme === 'system') delete document.documentElement.dataset['theme'];
    else document.documentElement.dataset['theme'] = theme;
  }, [theme]);
  useEffect(() => {
    document.documentElement.lang = language === 'zh' ? 'zh-CN' : 'en';
  }, [language]);
  useEffect(() => {
    document.title = title === '' ? 'Parley' : `${title} – Parley`;
  }, [title]);
}
