/** Model, system prompt and parameters: of the open conversation, or of those that are to come. */
import type { TalkSettings } from '@parley/protocol';
import { type ReactNode, useCallback, useEffect, useId, useRef, useState } from 'react';
import { toRequestError } from '../api.ts';
import { setChat } from '../chat-settings.ts';
import { Button } from '../components/button.tsx';
import { TextArea } from '../components/text-field.tsx';
import { toast } from '../components/toast.tsx';
import { type Translate, useTexts } from '../i18n.ts';
import { page, setPreferences, usePage } from '../state.ts';
import { Choice } from './choice.tsx';
import { useCounted } from './counted.ts';
import { ParameterFields } from './parameter-fields.tsx';
import { usePersonas, withPersona } from './personas.ts';
import { settingsTexts } from './settings-texts.ts';
import { without, withParameter } from './parameters.ts';

type Scope = 'open' | 'new';

export function AnswersPanel(): ReactNode {
  const t = useTexts(settingsTexts);
  const conversationId = usePage((state) => state.conversationId);
  const temporary = usePage((state) => state.temporary);
  const chat = usePage((state) => state.chat);
  const beginning = usePage((state) => state.preferences.chat);
  const separate = conversationId !== null || temporary;
  const [chosen, setScope] = useState<Scope>('open');
  const scope = separate ? chosen : 'open';
  const hint = scope === 'open' && conversationId !== null ? t('scopeChatHint') : scope === 'open' && temporary ? t('scopeTemporaryHint') : t('scopeNewHint');
  return (
    <>
      {separate && (
        <Choice
          label={t('scope')} value={scope} onChange={setScope}
          options={[{ value: 'open', label: temporary ? t('scopeTemporary') : t('scopeChat') }, { value: 'new', label: t('scopeNew') }]}
        />
      )}
      <p className="field-hint">{hint}</p>
      <ChatFields key={`${scope} ${conversationId}`} chat={scope === 'open' ? chat : beginning} onChange={scope === 'open' ? keepForOpen : keepForNew} />
    </>
  );
}

const keepForOpen = setChat;
const keepForNew = async (chat: TalkSettings): Promise<void> => {
  setPreferences({ chat });
  const { conversationId, temporary } = page.get();
  if (conversationId === null && !temporary) await setChat(chat);
};

interface ChatFieldsProps {
  readonly chat: TalkSettings;
  readonly onChange: (chat: TalkSettings) => Promise<void>;
}

function ChatFields({ chat, onChange }: ChatFieldsProps): ReactNode {
  const t = useTexts(settingsTexts);
  const [draft, change] = useKept(chat, onChange, t);
  const { list } = usePersonas();
  const id = useId();
  const { parameters = {}, personaId } = draft;
  const { system = '', ...drawing } = parameters;
  const persona = list?.find((each) => each.id === personaId);
  return (
    <>
      <ModelField model={draft.model} onChange={(model) => change(model === undefined ? without(draft, 'model') : { ...draft, model })} />
      {((list?.length ?? 0) > 0 || personaId !== undefined) && (
        <div className="field">
          <label className="field-label" htmlFor={`${id}-persona`}>{t('persona')}</label>
          <select
            id={`${id}-persona`} className="field-input" value={personaId ?? ''}
            onChange={({ currentTarget: { value } }) => change(withPersona(draft, list?.find((each) => each.id === value) ?? null))}
          >
            <option value="">{t('personaNone')}</option>
            {personaId !== undefined && list !== null && persona === undefined && <option value={personaId}>{t('personaGone')}</option>}
            {list?.map((each) => <option key={each.id} value={each.id}>{each.name}</option>)}
          </select>
        </div>
      )}
      <TextArea
        label={t('system')} hint={persona === undefined ? t('systemHint') : t('systemFrom', { name: persona.name })} rows={4} value={system}
        onChange={({ currentTarget: { value } }) => change({ ...without(draft, 'personaId'), parameters: withParameter(parameters, 'system', value === '' ? undefined : value) })}
      />
      <section className="settings-section">
        <div className="settings-heading">
          <h3>{t('parameters')}</h3>
          {Object.keys(drawing).length > 0 && <Button kind="quiet" onClick={() => change({ ...draft, parameters: system === '' ? {} : { system } })}>{t('resetAll')}</Button>}
        </div>
        <p className="field-hint">{t('parametersHint')}</p>
        <ParameterFields parameters={parameters} onChange={(next) => change({ ...draft, parameters: next })} />
      </section>
    </>
  );
}

function ModelField({ model, onChange }: { readonly model: string | undefined; readonly onChange: (model: string | undefined) => void }): ReactNode {
  const t = useTexts(settingsTexts);
  const count = useCounted(settingsTexts);
  const models = usePage((state) => state.models);
  const id = useId();
  const standard = models.find((each) => each.default);
  const shown = models.find((each) => (model === undefined ? each.default : each.id === model));
  return (
    <div className="field">
      <label className="field-label" htmlFor={id}>{t('model')}</label>
      <select id={id} className="field-input" value={model ?? ''} onChange={({ currentTarget: { value } }) => onChange(value === '' ? undefined : value)}>
        <option value="">{standard === undefined ? t('modelDefaultUnknown') : t('modelDefault', { model: standard.title })}</option>
        {model !== undefined && !models.some((each) => each.id === model) && <option value={model}>{model}</option>}
        {models.map((each) => <option key={each.id} value={each.id}>{each.title}</option>)}
      </select>
      {shown !== undefined && shown.contextLength !== null && <p className="field-hint">{count('context', shown.contextLength)}</p>}
    </div>
  );
}

const REST_MS = 350;

/** Shows a change at once and keeps it when changing rests, and when the panel is left. */
function useKept(chat: TalkSettings, keep: (chat: TalkSettings) => Promise<void>, t: Translate<'notKept'>): [TalkSettings, (chat: TalkSettings) => void] {
  const [draft, setDraft] = useState<TalkSettings | null>(null);
  const waiting = useRef<{ readonly chat: TalkSettings; readonly timer: ReturnType<typeof setTimeout> } | null>(null);
  const flush = useCallback(() => {
    if (waiting.current === null) return;
    const { chat: kept, timer } = waiting.current;
    clearTimeout(timer);
    waiting.current = null;
    keep(kept).catch((error: unknown) => toast(t('notKept', { reason: toRequestError(error).message }), { kind: 'error' }));
  }, [keep, t]);
  useEffect(() => {
    addEventListener('pagehide', flush);
    return () => {
      removeEventListener('pagehide', flush);
      flush();
    };
  }, [flush]);
  const change = (next: TalkSettings): void => {
    setDraft(next);
    if (waiting.current !== null) clearTimeout(waiting.current.timer);
    waiting.current = { chat: next, timer: setTimeout(flush, REST_MS) };
  };
  return [draft ?? chat, change];
}
