/** Who is there, where a server wants to know: a page of its own instead of everything else. */
import './settings.css';
import { type FormEvent, type ReactNode, useRef, useState } from 'react';
import { toRequestError } from '../api.ts';
import { client } from '../client.ts';
import { Button } from '../components/button.tsx';
import { TextField } from '../components/text-field.tsx';
import { useTexts } from '../i18n.ts';
import { page } from '../state.ts';
import { focusFirst } from './focus.ts';
import { settingsTexts } from './settings-texts.ts';

export function SignIn(): ReactNode {
  const t = useTexts(settingsTexts);
  const [name, setName] = useState('');
  const [password, setPassword] = useState('');
  const [fault, setFault] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  const field = useRef<HTMLInputElement>(null);
  const submit = async (event: FormEvent): Promise<void> => {
    event.preventDefault();
    if (busy) return;
    setBusy(true);
    setFault(null);
    try {
      page.set({ session: await client.signIn({ name: name.trim(), password }) });
    } catch (raw) {
      const { status, retryAfterSeconds, unreachable, message } = toRequestError(raw);
      setFault(status === 401 ? t('signInWrong')
        : status === 429 ? t('signInSlow', { count: retryAfterSeconds ?? 60 })
          : t('signInFailed', { reason: unreachable ? t('unreachable') : message }));
      setBusy(false);
      field.current?.select();
    }
  };
  return (
    <main className="sign-in">
      <form className="sign-in-form" onSubmit={(event) => void submit(event)}>
        <h1>Parley</h1>
        <p className="field-hint">{t('signInHint')}</p>
        <TextField label={t('name')} name="username" autoComplete="username" autoCapitalize="none" spellCheck={false} ref={focusFirst} required maxLength={200} value={name} onChange={(event) => setName(event.currentTarget.value)} />
        <TextField
          ref={field} label={t('password')} name="password" type="password" autoComplete="current-password" required maxLength={1000} value={password}
          onChange={(event) => setPassword(event.currentTarget.value)}
        />
        {fault !== null && <p className="field-error" role="alert">{fault}</p>}
        <Button kind="primary" type="submit" disabled={busy || name.trim() === '' || password === ''}>{busy ? t('signInBusy') : t('signIn')}</Button>
      </form>
    </main>
  );
}
