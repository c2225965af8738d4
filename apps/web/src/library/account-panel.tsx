/** Who is signed in, and out again. */
import { type ReactNode, useState } from 'react';
import { toRequestError } from '../api.ts';
import { client } from '../client.ts';
import { Button } from '../components/button.tsx';
import { useTexts } from '../i18n.ts';
import { usePage } from '../state.ts';
import { conversations } from './list.ts';
import { settingsTexts } from './settings-texts.ts';

export function AccountPanel(): ReactNode {
  const t = useTexts(settingsTexts);
  const name = usePage(({ session }) => session?.user?.name);
  const [fault, setFault] = useState<string | null>(null);
  const leave = async (): Promise<void> => {
    try {
      await conversations.flush();
      await client.signOut();
      // Nothing of this person stays behind in the page.
      location.replace(location.pathname);
    } catch (error) {
      setFault(toRequestError(error).message);
    }
  };
  return (
    <>
      <p>{t('signedIn', { name: name ?? '' })}</p>
      {fault !== null && <p className="field-error" role="alert">{fault}</p>}
      <div><Button onClick={() => void leave()}>{t('signOut')}</Button></div>
    </>
  );
}
