/** A labelled line or area of text, with a hint or what is wrong with it. */
import { type ComponentPropsWithRef, type ReactNode, useId } from 'react';

interface Around {
  readonly label: string;
  /** Keep the label for assistive technology only, where the place says what is meant. */
  readonly labelHidden?: boolean;
  readonly hint?: string;
  readonly error?: string;
}

export type TextFieldProps = Around & Omit<ComponentPropsWithRef<'input'>, 'aria-label'>;

export function TextField({ label, labelHidden = false, hint, error, className = '', ...rest }: TextFieldProps): ReactNode {
  const id = useId();
  return (
    <div className={`field ${className}`}>
      <label htmlFor={id} className={labelHidden ? 'visually-hidden' : 'field-label'}>{label}</label>
      <input id={id} className="field-input" aria-invalid={error !== undefined} aria-describedby={hint !== undefined || error !== undefined ? `${id}-note` : undefined} {...rest} />
      <Note id={`${id}-note`} hint={hint} error={error} />
    </div>
  );
}

export type TextAreaProps = Around & Omit<ComponentPropsWithRef<'textarea'>, 'aria-label'>;

export function TextArea({ label, labelHidden = false, hint, error, className = '', ...rest }: TextAreaProps): ReactNode {
  const id = useId();
  return (
    <div className={`field ${className}`}>
      <label htmlFor={id} className={labelHidden ? 'visually-hidden' : 'field-label'}>{label}</label>
      <textarea id={id} className="field-input" aria-invalid={error !== undefined} aria-describedby={hint !== undefined || error !== undefined ? `${id}-note` : undefined} {...rest} />
      <Note id={`${id}-note`} hint={hint} error={error} />
    </div>
  );
}

function Note({ id, hint, error }: { readonly id: string; readonly hint: string | undefined; readonly error: string | undefined }): ReactNode {
  if (error !== undefined) return <p id={id} className="field-error">{error}</p>;
  return hint === undefined ? null : <p id={id} className="field-hint">{hint}</p>;
}
