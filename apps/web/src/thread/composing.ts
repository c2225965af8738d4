/** What fields in which a message is written have in common. */
import type { KeyboardEvent } from 'react';

interface Stroke {
  readonly key: string;
  readonly shiftKey: boolean;
  readonly ctrlKey: boolean;
  readonly altKey: boolean;
  readonly isComposing: boolean;
  readonly keyCode: number;
}

/**
 * Whether a stroke sends. The Enter that chooses characters in an input method does not: `isComposing`, and 229, which Safari gives for the
 * stroke that ends a composition.
 */
export function isSending({ key, shiftKey, ctrlKey, altKey, isComposing, keyCode }: Stroke): boolean {
  return key === 'Enter' && !shiftKey && !ctrlKey && !altKey && !isComposing && keyCode !== 229;
}

export const sends = (event: KeyboardEvent): boolean => isSending(event.nativeEvent);

const MOST_PX = 320;

/** As high as its text, up to a third of a page. */
export function grow(area: HTMLTextAreaElement): void {
  area.style.height = 'auto';
  area.style.height = `${Math.min(area.scrollHeight, MOST_PX)}px`;
  area.style.overflowY = area.scrollHeight > MOST_PX ? 'auto' : 'hidden';
}
