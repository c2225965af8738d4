/** Keys and what they do: one table, which the page listens by and the help shows. */

/** `mod+k`, `mod+shift+o`, `?`, `f2`: `mod` is ⌘ on Apple's machines and Ctrl elsewhere. */
export type Keys = string;

export interface Shortcut {
  readonly id: string;
  readonly keys: Keys;
  /** Also while a text is being written. Without a modifier a key is a letter there. */
  readonly whileTyping?: boolean;
  readonly run: () => void;
}

/** What of a KeyboardEvent matters. */
export interface Stroke {
  readonly key: string;
  readonly ctrlKey: boolean;
  readonly metaKey: boolean;
  readonly shiftKey: boolean;
  readonly altKey: boolean;
  /** An input method is choosing characters: its Enter and its letters are not ours. */
  readonly isComposing: boolean;
}

export const isApple = (platform: string): boolean => /mac|iphone|ipad|ipod/i.test(platform);

/** Whether a stroke is these keys. Shift counts only with letters and named keys: `?` is what it types on any layout. */
export function matches(keys: Keys, stroke: Stroke, apple: boolean): boolean {
  if (stroke.isComposing) return false;
  const parts = keys.toLowerCase().split('+');
  const key = parts.at(-1) ?? '';
  const mod = parts.includes('mod');
  if ((apple ? stroke.metaKey : stroke.ctrlKey) !== mod) return false;
  if ((apple ? stroke.ctrlKey : stroke.metaKey)) return false;
  if (stroke.altKey !== parts.includes('alt')) return false;
  const shiftMatters = key.length > 1 || /^[a-z]$/.test(key);
  if (shiftMatters && stroke.shiftKey !== parts.includes('shift')) return false;
  return stroke.key.toLowerCase() === key;
}

/** As the keyboard has them written: ⇧⌘O, or Ctrl Shift O. */
export function keyLabels(keys: Keys, apple: boolean): string[] {
  const names: Readonly<Record<string, string>> = {
    mod: apple ? '⌘' : 'Ctrl', shift: apple ? '⇧' : 'Shift', alt: apple ? '⌥' : 'Alt', enter: '↵', escape: 'Esc', arrowup: '↑', arrowdown: '↓',
    delete: apple ? '⌦' : 'Delete', backspace: apple ? '⌫' : 'Backspace',
  };
  return keys.split('+').map((part) => names[part.toLowerCase()] ?? (part.length === 1 ? part.toUpperCase() : part.charAt(0).toUpperCase() + part.slice(1)));
}

/** The shortcut that a stroke means, if any. */
export function shortcutOf(shortcuts: readonly Shortcut[], stroke: Stroke, context: { apple: boolean; typing: boolean }): Shortcut | undefined {
  return shortcuts.find((shortcut) => (!context.typing || shortcut.whileTyping === true) && matches(shortcut.keys, stroke, context.apple));
}

/** Whether an element takes text, so that plain keys are its own. */
export function takesText(element: { readonly tagName: string; readonly type?: string; readonly isContentEditable?: boolean } | null): boolean {
  if (element === null) return false;
  if (element.isContentEditable === true) return true;
  const name = element.tagName.toLowerCase();
  if (name === 'input') return !['button', 'checkbox', 'radio', 'range', 'submit', 'reset', 'color', 'file'].includes(element.type ?? 'text');
  return name === 'textarea' || name === 'select';
}
