/** Saved personas: used, written, copied, deleted. */
import type { Persona } from '@parley/protocol';
import { type FormEvent, type ReactNode, useState } from 'react';
import { toRequestError } from '../api.ts';
import { Button } from '../components/button.tsx';
import { CheckIcon, CopyIcon, MoreIcon, PencilIcon, PlusIcon, TrashIcon } from '../components/icons.tsx';
import { Menu } from '../components/menu.tsx';
import { TextArea, TextField } from '../components/text-field.tsx';
import { useTexts } from '../i18n.ts';
import { usePage, useStore } from '../state.ts';
import { focusFirst } from './focus.ts';
import { ParameterFields } from './parameter-fields.tsx';
import { without } from './parameters.ts';
import { choosePersona, deletePersona, loadPersonas, savePersona, usePersonas } from './personas.ts';
import { type PersonaDraft, settingsState } from './settings-state.ts';
import { settingsTexts } from './settings-texts.ts';

export function PersonasPanel(): ReactNode {
  const draft = useStore(settingsState, (state) => state.draft);
  return draft === null ? <PersonaList /> : <PersonaEditor draft={draft} />;
}

const edit = (draft: PersonaDraft | null): void => settingsState.set({ draft });
const draftOf = ({ id, name, system, parameters = {} }: Persona): PersonaDraft => ({ id, before: name, name, system, parameters });

function PersonaList(): ReactNode {
  const t = useTexts(settingsTexts);
  const { list, error } = usePersonas();
  const inUse = usePage((state) => state.chat.personaId);
  const open = usePage(({ conversationId, temporary }) => conversationId !== null || temporary);
  const [asking, setAsking] = useState<string | null>(null);
  const [fault, setFault] = useState<string | null>(null);
  const attempt = (work: Promise<unknown>): void => {
    setFault(null);
    work.catch((raw: unknown) => setFault(t('notKept', { reason: toRequestError(raw).message })));
  };
  return (
    <>
      <p className="field-hint">{t('personasHint')} {t(open ? 'personasForChat' : 'personasForNew')}</p>
      {list !== null && list.length > 0 && (
        <ul className="personas">
          {list.map((persona) => {
            const { id, name, system } = persona;
            const used = id === inUse;
            return (
              <li key={id} className="persona" data-used={used}>
                <div className="persona-words">
                  <strong>{name}</strong>
                  {system.trim() !== '' && <p>{system}</p>}
                </div>
                {asking === id
                  ? (
                    <div className="persona-ask" role="group" aria-label={t('personaDeleteAsk', { name })}>
                      <span>{t('personaDeleteAsk', { name })}</span>
                      <Button kind="danger" ref={focusFirst} onClick={() => attempt(deletePersona(id))}>{t('personaDelete')}</Button>
                      <Button onClick={() => setAsking(null)}>{t('keep')}</Button>
                    </div>
                  )
                  : (
                    <div className="persona-actions">
                      <Button kind={used ? 'quiet' : 'plain'} aria-pressed={used} onClick={() => attempt(choosePersona(used ? null : persona))}>
                        {used && <CheckIcon />}{t(used ? 'personaInUse' : 'personaUse')}
                      </Button>
                      <Menu
                        label={t('personaActions', { name })} button={<MoreIcon />} align="end"
                        items={[
                          { id: 'edit', label: t('personaEdit'), icon: <PencilIcon />, onSelect: () => edit(draftOf(persona)) },
                          { id: 'copy', label: t('personaDuplicate'), icon: <CopyIcon />, onSelect: () => edit({ ...draftOf(persona), id: null, before: '', name: t('personaCopy', { name }) }) },
                          { id: 'delete', label: t('personaDelete'), icon: <TrashIcon />, danger: true, onSelect: () => setAsking(id) },
                        ]}
                      />
                    </div>
                  )}
              </li>
            );
          })}
        </ul>
      )}
      {list?.length === 0 && <p className="personas-none">{t('personasNone')}</p>}
      {error !== null && <p className="field-error" role="alert">{error.message} <Button kind="quiet" onClick={() => void loadPersonas()}>{t('again')}</Button></p>}
      {fault !== null && <p className="field-error" role="alert">{fault}</p>}
      <div><Button onClick={() => edit({ id: null, before: '', name: '', system: '', parameters: {} })}><PlusIcon />{t('personaNew')}</Button></div>
    </>
  );
}

function PersonaEditor({ draft }: { readonly draft: PersonaDraft }): ReactNode {
  const t = useTexts(settingsTexts);
  const [fault, setFault] = useState<string | null>(null);
  const [tried, setTried] = useState(false);
  const [busy, setBusy] = useState(false);
  const { id, before, name, system, parameters } = draft;
  const nameless = name.trim() === '';
  const change = (patch: Partial<PersonaDraft>): void => edit({ ...draft, ...patch });
  const save = async (event: FormEvent): Promise<void> => {
    event.preventDefault();
    setTried(true);
    if (nameless || busy) return;
    setBusy(true);
    try {
      await savePersona(id, { name: name.trim(), system, parameters });
      edit(null);
    } catch (error) {
      setFault(t('notKept', { reason: toRequestError(error).message }));
      setBusy(false);
    }
  };
  return (
    <form className="persona-editor" onSubmit={(event) => void save(event)} noValidate>
      <h3>{id === null ? t('personaNew') : t('personaEditing', { name: before })}</h3>
      <TextField
        label={t('personaName')} hint={t('personaNameHint')} {...(tried && nameless && { error: t('personaNameMissing') })} value={name} maxLength={200} ref={focusFirst} autoComplete="off"
        onChange={(event) => change({ name: event.currentTarget.value })}
      />
      <TextArea label={t('personaSystem')} placeholder={t('personaSystemExample')} rows={6} value={system} onChange={(event) => change({ system: event.currentTarget.value })} />
      <details className="parameters-more" open={Object.keys(parameters).length > 0 || undefined}>
        <summary>{t('personaOwn')}</summary>
        <p className="field-hint">{t('parametersHint')}</p>
        <ParameterFields parameters={parameters} onChange={(next) => change({ parameters: without(next, 'system') })} />
      </details>
      {fault !== null && <p className="field-error" role="alert">{fault}</p>}
      <div className="settings-buttons">
        <Button onClick={() => edit(null)}>{t('cancel')}</Button>
        <Button kind="primary" type="submit" disabled={busy}>{t('save')}</Button>
      </div>
    </form>
  );
}
