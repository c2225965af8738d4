/** Everything out in one file, and files in: what a file would bring is shown before it is sent. */
import type { ImportReport } from '@parley/protocol';
import { type DragEvent, type ReactNode, useId, useState } from 'react';
import { toRequestError } from '../api.ts';
import { client } from '../client.ts';
import { Button } from '../components/button.tsx';
import { CheckIcon, DownloadIcon, UploadIcon } from '../components/icons.tsx';
import { type Translate, useLanguage, useTexts } from '../i18n.ts';
import { type Count, useCounted } from './counted.ts';
import { focusFirst } from './focus.ts';
import { ImportError, type ImportFault, type ImportPreview, previewImport } from './import-check.ts';
import { conversations, download } from './list.ts';
import { loadPersonas } from './personas.ts';
import { settingsTexts } from './settings-texts.ts';

type Key = keyof typeof settingsTexts.en;

type Step =
  | { readonly kind: 'choose' }
  | { readonly kind: 'reading'; readonly name: string }
  | { readonly kind: 'preview' | 'sending'; readonly name: string; readonly preview: ImportPreview }
  | { readonly kind: 'done'; readonly report: ImportReport }
  | { readonly kind: 'failed'; readonly name: string; readonly reason: string };

export function DataPanel(): ReactNode {
  const t = useTexts(settingsTexts);
  return (
    <>
      <section className="settings-section">
        <h3>{t('exportTitle')}</h3>
        <p className="field-hint">{t('exportHint')}</p>
        <div><Button onClick={() => download(client.exportUrl)}><DownloadIcon />{t('exportAll')}</Button></div>
        <p className="field-hint">{t('exportOne')}</p>
      </section>
      <section className="settings-section">
        <h3>{t('importTitle')}</h3>
        <p className="field-hint">{t('importHint')}</p>
        <Import />
      </section>
    </>
  );
}

function Import(): ReactNode {
  const t = useTexts(settingsTexts);
  const count = useCounted(settingsTexts);
  const [step, setStep] = useState<Step>({ kind: 'choose' });

  const read = async (file: File): Promise<void> => {
    setStep({ kind: 'reading', name: file.name });
    try {
      setStep({ kind: 'preview', name: file.name, preview: previewImport(await file.text()) });
    } catch (error) {
      const reason = error instanceof ImportError ? faultText(error.fault, t) : t('importUnreadable', { reason: error instanceof Error ? error.message : String(error) });
      setStep({ kind: 'failed', name: file.name, reason });
    }
  };
  const send = async (name: string, preview: ImportPreview): Promise<void> => {
    setStep({ kind: 'sending', name, preview });
    try {
      setStep({ kind: 'done', report: await client.importAll(preview.body) });
      await Promise.all([conversations.load(), loadPersonas()]);
    } catch (raw) {
      const error = toRequestError(raw);
      setStep({ kind: 'failed', name, reason: t('importRefused', { reason: error.unreachable ? t('unreachable') : error.message }) });
    }
  };

  switch (step.kind) {
    case 'choose': return <FileField onFile={(file) => void read(file)} />;
    case 'reading': return <p role="status">{t('importReading', { name: step.name })}</p>;
    case 'preview': case 'sending': {
      const busy = step.kind === 'sending';
      return (
        <div className="import-preview">
          <Preview {...step} />
          <div className="settings-buttons">
            <Button disabled={busy} onClick={() => setStep({ kind: 'choose' })}>{t('cancel')}</Button>
            <Button kind="primary" ref={focusFirst} disabled={busy} onClick={() => void send(step.name, step.preview)}>{busy ? t('importBusy') : t('importNow')}</Button>
          </div>
        </div>
      );
    }
    case 'done': return (
      <>
        <div className="import-result" role="status">
          <CheckIcon />
          <div>
            <p>{reportText(step.report, t, count)}</p>
            {step.report.skipped > 0 && <p className="field-hint">{count('importSkipped', step.report.skipped)}</p>}
            {step.report.notes.length > 0 && <ul className="import-notes">{step.report.notes.map((note) => <li key={note}>{note}</li>)}</ul>}
          </div>
        </div>
        <div><Button onClick={() => setStep({ kind: 'choose' })}>{t('importOther')}</Button></div>
      </>
    );
    case 'failed': return (
      <>
        <div className="import-failed" role="alert"><strong>{step.name}</strong><p>{step.reason}</p></div>
        <FileField onFile={(file) => void read(file)} />
      </>
    );
    default: return step satisfies never;
  }
}

function FileField({ onFile }: { readonly onFile: (file: File) => void }): ReactNode {
  const t = useTexts(settingsTexts);
  const id = useId();
  const [over, setOver] = useState(false);
  const drag = (event: DragEvent, is: boolean): void => {
    if (!event.dataTransfer.types.includes('Files')) return;
    event.preventDefault();
    setOver(is);
  };
  return (
    <div
      className="import-drop" data-over={over} onDragEnter={(event) => drag(event, true)} onDragOver={(event) => drag(event, true)} onDragLeave={(event) => drag(event, false)}
      onDrop={(event) => {
        drag(event, false);
        const [file] = event.dataTransfer.files;
        if (file !== undefined) onFile(file);
      }}
    >
      <UploadIcon />
      <input
        id={id} type="file" accept=".json,application/json" className="visually-hidden import-file"
        onChange={({ currentTarget }) => {
          const [file] = currentTarget.files ?? [];
          // The same file may be chosen again after it was mended.
          currentTarget.value = '';
          if (file !== undefined) onFile(file);
        }}
      />
      <label htmlFor={id} className="button button-plain">{t('importChoose')}</label>
      <span className="field-hint import-or">{t('importDrop')}</span>
    </div>
  );
}

const LISTED = 6;

function Preview({ name, preview }: { readonly name: string; readonly preview: ImportPreview }): ReactNode {
  const t = useTexts(settingsTexts);
  const count = useCounted(settingsTexts);
  const language = useLanguage();
  const { format, conversations: list, messages, personas } = preview;
  const date = new Intl.DateTimeFormat(language, { dateStyle: 'medium' });
  const facts = [count('conversations', list.length), count('messages', messages), ...(personas.length > 0 ? [count('personas', personas.length)] : [])];
  return (
    <>
      <p><strong>{name}</strong></p>
      <p className="field-hint">{t(format === 'parley' ? 'importFromParley' : 'importFromChatgpt')}: {facts.join(' · ')}</p>
      <ul className="import-list">
        {list.slice(0, LISTED).map(({ title, at }, i) => (
          // oxlint-disable-next-line react/no-array-index-key -- titles repeat
          <li key={i}><span>{title.trim() === '' ? t('untitled') : title}</span>{at !== undefined && <time dateTime={new Date(at).toISOString()}>{date.format(at)}</time>}</li>
        ))}
        {list.length > LISTED && <li className="field-hint">{t('importMore', { count: list.length - LISTED })}</li>}
      </ul>
    </>
  );
}

function reportText({ conversations: added, messages, personas }: ImportReport, t: Translate<Key>, count: Count<Key>): string {
  if (added + messages + personas === 0) return t('importNothingNew');
  const what = [...(added > 0 ? [count('conversations', added)] : []), ...(messages > 0 ? [count('messages', messages)] : []), ...(personas > 0 ? [count('personas', personas)] : [])];
  return t('importNew', { what: what.join(' · ') });
}

function faultText(fault: ImportFault, t: Translate<Key>): string {
  switch (fault.kind) {
    case 'empty': return t('faultEmpty');
    case 'zip': return t('faultZip');
    case 'json': return t('faultJson', { line: fault.line });
    case 'unknown': return t('faultUnknown');
    case 'version': return t('faultVersion', { version: fault.version });
    case 'damaged': return t('faultDamaged', { where: fault.where });
    case 'nothing': return t('faultNothing');
    default: return fault satisfies never;
  }
}
