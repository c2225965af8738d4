/** A formula as MathML. The typesetter (Temml) is fetched with the first formula; until then, and where a formula is wrong, its source is shown. */
import { type ReactNode, useEffect, useRef } from 'react';

const load = () => import('temml').then((module) => module.default);
let temml: ReturnType<typeof load> | undefined;

export function Formula({ tex, display }: { readonly tex: string; readonly display: boolean }): ReactNode {
  const place = useRef<HTMLSpanElement>(null);
  useEffect(() => {
    let wanted = true;
    temml ??= load();
    temml.then((typesetter) => {
      // Into a box of its own, so that a formula that cannot be read leaves its source standing.
      const box = document.createElement('span');
      typesetter.render(tex, box, { displayMode: display, throwOnError: true, trust: false, maxExpand: 200, maxSize: [20, 20], annotate: true });
      if (wanted) place.current?.replaceChildren(...box.childNodes);
    }).catch(() => {
      if (wanted && place.current) place.current.textContent = tex;
    });
    return () => {
      wanted = false;
    };
  }, [tex, display]);
  return <span ref={place} className={display ? 'math math-display' : 'math'} tabIndex={display ? 0 : undefined}>{tex}</span>;
}
