/** Every parameter of an answer with its explanation: a slider and a number, empty where it is left to the model. */
import type { TalkParameters } from '@parley/protocol';
import { type ReactNode, useId, useState } from 'react';
import { TextArea } from '../components/text-field.tsx';
import { CloseIcon } from '../components/icons.tsx';
import { IconButton } from '../components/button.tsx';
import { type Translate, useTexts } from '../i18n.ts';
import { type Fault, type NumberParameter, NUMBERS, readNumber, readStops, STOP_LIMIT, withParameter, writeStops } from './parameters.ts';
import { settingsTexts } from './settings-texts.ts';

interface FieldsProps {
  readonly parameters: TalkParameters;
  readonly onChange: (parameters: TalkParameters) => void;
}

export function ParameterFields({ parameters, onChange }: FieldsProps): ReactNode {
  const t = useTexts(settingsTexts);
  const field = (spec: NumberParameter): ReactNode => (
    <NumberField key={spec.name} spec={spec} value={parameters[spec.name]} onChange={(value) => onChange(withParameter(parameters, spec.name, value))} />
  );
  const rare = NUMBERS.filter((spec) => spec.rare === true);
  return (
    <div className="parameters">
      {NUMBERS.filter((spec) => spec.rare !== true).map(field)}
      <StopField stops={parameters.stop ?? []} onChange={(stops) => onChange(withParameter(parameters, 'stop', stops.length === 0 ? undefined : [...stops]))} />
      <details className="parameters-more" open={rare.some(({ name }) => parameters[name] !== undefined) || undefined}>
        <summary>{t('more')}</summary>
        <div className="parameters">{rare.map(field)}</div>
      </details>
    </div>
  );
}

function NumberField({ spec, value, onChange }: { readonly spec: NumberParameter; readonly value: number | undefined; readonly onChange: (value: number | undefined) => void }): ReactNode {
  const t = useTexts(settingsTexts);
  const id = useId();
  // What is typed stays as it is typed; it is only replaced where the value changed by other ways.
  const [typed, setTyped] = useState({ text: value === undefined ? '' : String(value), value });
  const text = typed.value === value ? typed.text : value === undefined ? '' : String(value);
  const reading = readNumber(spec, text);
  const { slider } = spec;
  const set = (next: number | undefined, as = next === undefined ? '' : String(next)): void => {
    setTyped({ text: as, value: next });
    onChange(next);
  };
  return (
    <div className="parameter" data-set={value !== undefined}>
      <label htmlFor={id} className="parameter-name">{t(spec.name)}</label>
      <div className="parameter-controls">
        {slider !== undefined && (
          <input
            type="range" className="parameter-slider" min={slider.min} max={slider.max} step={slider.step} value={value ?? spec.neutral} aria-label={t(spec.name)}
            aria-valuetext={value === undefined ? t('own') : String(value)} onChange={(event) => set(Number(event.currentTarget.value))}
          />
        )}
        <input
          id={id} type="text" inputMode={spec.min < 0 ? 'text' : spec.whole === true ? 'numeric' : 'decimal'} autoComplete="off" className="field-input parameter-number" value={text} placeholder={t(spec.name === 'seed' ? 'ownSeed' : spec.name === 'max_tokens' ? 'ownLength' : 'own')}
          aria-invalid={reading.fault !== undefined} aria-describedby={`${id}-note`}
          onChange={(event) => {
            const next = readNumber(spec, event.currentTarget.value);
            // What cannot be is shown as wrong and changes nothing.
            if (next.fault === undefined) set(next.value, event.currentTarget.value);
            else setTyped({ text: event.currentTarget.value, value });
          }}
          onBlur={() => reading.fault !== undefined && setTyped({ text: value === undefined ? '' : String(value), value })}
        />
        <span className="parameter-reset">
          {value !== undefined && <IconButton label={t('reset', { name: t(spec.name) })} icon={<CloseIcon />} onClick={() => set(undefined)} />}
        </span>
      </div>
      <p id={`${id}-note`} className={reading.fault === undefined ? 'field-hint' : 'field-error'}>
        {reading.fault === undefined ? t(`${spec.name}Hint`) : faultText(reading.fault, spec, t)}
      </p>
    </div>
  );
}

function faultText(fault: Fault, { min, max, open }: NumberParameter, t: Translate<'faultNumber' | 'faultWhole' | 'faultSmall' | 'faultSmallOpen' | 'faultLarge'>): string {
  switch (fault) {
    case 'number': return t('faultNumber');
    case 'whole': return t('faultWhole');
    case 'small': return t(open === true ? 'faultSmallOpen' : 'faultSmall', { min });
    case 'large': return t('faultLarge', { max });
    default: return fault satisfies never;
  }
}

function StopField({ stops, onChange }: { readonly stops: readonly string[]; readonly onChange: (stops: readonly string[]) => void }): ReactNode {
  const t = useTexts(settingsTexts);
  const [text, setText] = useState(writeStops(stops));
  // Emptied from outside: reset.
  const shown = stops.length === 0 && readStops(text).length > 0 ? '' : text;
  const extra = readStops(shown).length - STOP_LIMIT;
  return (
    <TextArea
      className="parameter-stop" label={t('stop')} hint={t('stopHint')} {...(extra > 0 && { error: t('faultStops', { count: extra }) })} rows={2} value={shown} spellCheck={false}
      onChange={(event) => {
        setText(event.currentTarget.value);
        onChange(readStops(event.currentTarget.value).slice(0, STOP_LIMIT));
      }}
    />
  );
}
