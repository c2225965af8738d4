/** A block of code: its language, colours, and a button that copies it. */
import { memo, type ReactNode } from 'react';
import { CopyButton } from '../thread/copy-button.tsx';
import { defineTexts, useTexts } from '../i18n.ts';
import { highlight } from './highlight.ts';

const texts = defineTexts({ code: 'Code', copy: 'Copy code' }, { code: '代码', copy: '复制代码' });

export const CodeBlock = memo(function CodeBlock({ code, language }: { readonly code: string; readonly language: string | undefined }): ReactNode {
  const t = useTexts(texts);
  const name = language === '' ? undefined : language;
  return (
    <figure className="code-block" aria-label={name ?? t('code')}>
      <figcaption>
        <span>{name ?? t('code')}</span>
        <CopyButton text={code} label={t('copy')} />
      </figcaption>
      <pre tabIndex={0} translate="no"><code>{highlight(code, name).map(({ kind, text }, index) => (kind === 'plain' ? text : <span key={index} className={`code-${kind}`}>{text}</span>))}</code></pre>
    </figure>
  );
});
