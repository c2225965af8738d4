/** The browser's own modal dialog: it keeps the focus inside, gives it back, and closes on Escape. */
import { type ReactNode, useEffect, useId, useRef } from 'react';
import { defineTexts, useTexts } from '../i18n.ts';
import { IconButton } from './button.tsx';
import { CloseIcon } from './icons.tsx';

const texts = defineTexts({ close: 'Close' }, { close: '关闭' });

export interface DialogProps {
  readonly title: string;
  readonly open: boolean;
  readonly onClose: () => void;
  readonly children: ReactNode;
  /** Buttons at the end. */
  readonly actions?: ReactNode;
  /** `wide`: for pages of settings; `side`: along the right edge, over all of a narrow window. */
  readonly shape?: 'narrow' | 'wide' | 'side';
  /** `alertdialog`: a question that has to be answered. */
  readonly role?: 'dialog' | 'alertdialog';
}

export function Dialog({ title, open, onClose, children, actions, shape = 'narrow', role = 'dialog' }: DialogProps): ReactNode {
  const t = useTexts(texts);
  const element = useRef<HTMLDialogElement>(null);
  const heading = useId();
  useEffect(() => {
    const dialog = element.current;
    if (open && dialog && !dialog.open) dialog.showModal();
    else if (!open && dialog?.open) dialog.close();
  }, [open]);
  return (
    <dialog
      ref={element} className={`dialog dialog-${shape}`} role={role} aria-labelledby={heading} onClose={onClose}
      // The dialog itself is only clicked on its backdrop: its content covers it.
      onPointerDown={(event) => event.target === element.current && role === 'dialog' && element.current.close()}
    >
      {open && (
        <div className="dialog-content">
          <header className="dialog-header">
            <h2 id={heading}>{title}</h2>
            <IconButton label={t('close')} icon={<CloseIcon />} onClick={() => element.current?.close()} />
          </header>
          <div className="dialog-body">{children}</div>
          {actions !== undefined && <footer className="dialog-actions">{actions}</footer>}
        </div>
      )}
    </dialog>
  );
}
