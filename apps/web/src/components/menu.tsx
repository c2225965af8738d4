/** A button that opens a list of things to do or to choose from (WAI-ARIA menu button): arrows, Home, End, first letters, Escape. */
import { type KeyboardEvent, type ReactNode, useEffect, useId, useRef, useState } from 'react';
import { place } from './place.ts';
import { CheckIcon } from './icons.tsx';

export interface MenuItem {
  readonly id: string;
  readonly label: string;
  /** A second, quieter line. */
  readonly hint?: string;
  readonly icon?: ReactNode;
  readonly danger?: boolean;
  readonly disabled?: boolean;
  /** Given: the item is one of a choice, and this tells whether it is chosen. */
  readonly checked?: boolean;
  readonly onSelect: () => void;
}

export interface MenuProps {
  /** The button's name, where its content does not say it. */
  readonly label: string;
  readonly button: ReactNode;
  readonly items: readonly MenuItem[];
  readonly align?: 'start' | 'end';
  readonly className?: string;
  /** -1: the button is reached by other keys than Tab. */
  readonly tabIndex?: number;
}

export function Menu({ label, button, items, align = 'start', className = 'icon-button icon-button-quiet', tabIndex }: MenuProps): ReactNode {
  const [open, setOpen] = useState(false);
  const trigger = useRef<HTMLButtonElement>(null);
  const list = useRef<HTMLDivElement>(null);
  const id = useId();
  const entries = (): HTMLElement[] => [...(list.current?.querySelectorAll<HTMLElement>('[role^=menuitem]:not([aria-disabled=true])') ?? [])];

  useEffect(() => {
    if (!open || !list.current || !trigger.current) return;
    list.current.showPopover?.();
    place(list.current, trigger.current, align);
    (list.current.querySelector<HTMLElement>('[aria-checked=true]') ?? entries()[0])?.focus({ preventScroll: true });
    const outside = (event: PointerEvent): void => {
      const target = event.target as Node;
      if (!list.current?.contains(target) && !trigger.current?.contains(target)) setOpen(false);
    };
    const leave = (): void => setOpen(false);
    addEventListener('pointerdown', outside);
    addEventListener('resize', leave);
    return () => {
      removeEventListener('pointerdown', outside);
      removeEventListener('resize', leave);
    };
  }, [open, align]);

  const close = (): void => {
    setOpen(false);
    trigger.current?.focus();
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    const all = entries();
    const at = all.indexOf(document.activeElement as HTMLElement);
    const to = (index: number): void => {
      event.preventDefault();
      all[(index + all.length) % all.length]?.focus();
    };
    if (event.key === 'ArrowDown') to(at + 1);
    else if (event.key === 'ArrowUp') to(at - 1);
    else if (event.key === 'Home') to(0);
    else if (event.key === 'End') to(all.length - 1);
    else if (event.key === 'Escape') {
      event.preventDefault();
      event.stopPropagation();
      close();
    } else if (event.key === 'Tab') setOpen(false);
    else if (event.key.length === 1 && !event.ctrlKey && !event.metaKey && !event.altKey) {
      const next = [...all.slice(at + 1), ...all.slice(0, at + 1)].find((each) => each.textContent.toLowerCase().startsWith(event.key.toLowerCase()));
      next?.focus();
    }
  };
  return (
    <>
      <button
        ref={trigger} type="button" className={className} tabIndex={tabIndex} aria-label={label} aria-haspopup="menu" aria-expanded={open} aria-controls={open ? id : undefined}
        onClick={() => setOpen(!open)} onKeyDown={(event) => event.key === 'ArrowDown' && !open && (event.preventDefault(), setOpen(true))}
      >
        {button}
      </button>
      {open && (
        <div ref={list} id={id} className="menu" role="menu" tabIndex={-1} aria-label={label} popover="manual" onKeyDown={onKeyDown}>
          {items.map((item) => (
            <button
              key={item.id} type="button" role={item.checked === undefined ? 'menuitem' : 'menuitemradio'} aria-checked={item.checked} tabIndex={-1}
              aria-disabled={item.disabled === true} className={item.danger === true ? 'menu-item menu-item-danger' : 'menu-item'}
              onClick={() => {
                if (item.disabled === true) return;
                close();
                item.onSelect();
              }}
            >
              {item.icon !== undefined && <span className="menu-icon">{item.icon}</span>}
              <span className="menu-words">
                <span>{item.label}</span>
                {item.hint !== undefined && <span className="menu-hint">{item.hint}</span>}
              </span>
              {item.checked === true && <CheckIcon />}
            </button>
          ))}
        </div>
      )}
    </>
  );
}
