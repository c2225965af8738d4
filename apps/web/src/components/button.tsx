/** Buttons. `IconButton` shows no words: its label is its name for assistive technology and its tooltip. */
import type { ComponentPropsWithRef, ReactNode } from 'react';
import { Tooltip } from './tooltip.tsx';

export interface ButtonProps extends ComponentPropsWithRef<'button'> {
  readonly kind?: 'primary' | 'plain' | 'quiet' | 'danger';
}

export function Button({ kind = 'plain', className = '', type = 'button', ...rest }: ButtonProps): ReactNode {
  return <button type={type} className={`button button-${kind} ${className}`} {...rest} />;
}

export interface IconButtonProps extends Omit<ComponentPropsWithRef<'button'>, 'children' | 'aria-label'> {
  readonly label: string;
  readonly icon: ReactNode;
  readonly kind?: 'quiet' | 'primary';
  /** For keyboards, shown in the tooltip: `Ctrl K`. */
  readonly shortcut?: string;
}

export function IconButton({ label, icon, kind = 'quiet', shortcut, className = '', type = 'button', ...rest }: IconButtonProps): ReactNode {
  return (
    <Tooltip text={shortcut === undefined ? label : `${label}  ${shortcut}`}>
      <button type={type} className={`icon-button icon-button-${kind} ${className}`} aria-label={label} {...rest}>{icon}</button>
    </Tooltip>
  );
}
