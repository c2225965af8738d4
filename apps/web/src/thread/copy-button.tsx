/** Copies a text and says so for a moment. */
import { type ReactNode, useEffect, useRef, useState } from 'react';
import { IconButton } from '../components/button.tsx';
import { CheckIcon, CopyIcon } from '../components/icons.tsx';
import { toast } from '../components/toast.tsx';
import { defineTexts, useTexts } from '../i18n.ts';

const texts = defineTexts(
  { copied: 'Copied', failed: 'The browser did not allow copying. Select the text and copy it by hand.' },
  { copied: '已复制', failed: '浏览器不允许复制。请选中文字后手动复制。' },
);

export function CopyButton({ text, label }: { readonly text: string; readonly label: string }): ReactNode {
  const t = useTexts(texts);
  const [copied, setCopied] = useState(false);
  const timer = useRef<number>(undefined);
  useEffect(() => () => clearTimeout(timer.current), []);
  const copy = async (): Promise<void> => {
    try {
      await navigator.clipboard.writeText(text);
      setCopied(true);
      clearTimeout(timer.current);
      timer.current = window.setTimeout(() => setCopied(false), 1600);
    } catch {
      toast(t('failed'), { kind: 'error' });
    }
  };
  return <IconButton label={copied ? t('copied') : label} icon={copied ? <CheckIcon /> : <CopyIcon />} onClick={() => void copy()} />;
}
