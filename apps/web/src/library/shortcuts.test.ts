import { expect, test } from 'vitest';
import { isApple, keyLabels, matches, type Shortcut, shortcutOf, type Stroke, takesText } from './shortcuts.ts';

const stroke = (key: string, held: Partial<Stroke> = {}): Stroke => ({ key, ctrlKey: false, metaKey: false, shiftKey: false, altKey: false, isComposing: false, ...held });

test('mod is Ctrl, and ⌘ on Apple\'s machines, never both', () => {
  expect(matches('mod+k', stroke('k', { ctrlKey: true }), false)).toBe(true);
  expect(matches('mod+k', stroke('k', { metaKey: true }), false)).toBe(false);
  expect(matches('mod+k', stroke('k', { metaKey: true }), true)).toBe(true);
  expect(matches('mod+k', stroke('k', { ctrlKey: true }), true)).toBe(false);
  expect(matches('mod+k', stroke('k', { ctrlKey: true, metaKey: true }), true)).toBe(false);
});

test('shift is part of a letter\'s shortcut and not of a sign\'s', () => {
  expect(matches('mod+shift+o', stroke('O', { ctrlKey: true, shiftKey: true }), false)).toBe(true);
  expect(matches('mod+shift+o', stroke('o', { ctrlKey: true }), false)).toBe(false);
  expect(matches('mod+o', stroke('O', { ctrlKey: true, shiftKey: true }), false)).toBe(false);
  // A question mark needs shift on some keyboards and not on others.
  expect(matches('?', stroke('?', { shiftKey: true }), false)).toBe(true);
  expect(matches('?', stroke('?'), false)).toBe(true);
  expect(matches('?', stroke('?', { altKey: true }), false)).toBe(false);
});

test('strokes of an input method are its own', () => {
  expect(matches('escape', stroke('Escape', { isComposing: true }), false)).toBe(false);
});

test('while a text is written only shortcuts meant for then answer', () => {
  const shortcuts: Shortcut[] = [{ id: 'help', keys: '?', run: () => undefined }, { id: 'palette', keys: 'mod+k', whileTyping: true, run: () => undefined }];
  const find = (event: Stroke, typing: boolean) => shortcutOf(shortcuts, event, { apple: false, typing })?.id;
  expect(find(stroke('?'), false)).toBe('help');
  expect(find(stroke('?'), true)).toBeUndefined();
  expect(find(stroke('k', { ctrlKey: true }), true)).toBe('palette');
});

test('fields take text; buttons and boxes to tick do not', () => {
  expect([{ tagName: 'TEXTAREA' }, { tagName: 'INPUT', type: 'search' }, { tagName: 'DIV', isContentEditable: true }].every((element) => takesText(element))).toBe(true);
  expect([null, { tagName: 'BUTTON' }, { tagName: 'INPUT', type: 'checkbox' }, { tagName: 'INPUT', type: 'range' }].some((element) => takesText(element))).toBe(false);
});

test('keys are named as the keyboard has them', () => {
  expect(keyLabels('mod+shift+o', true)).toEqual(['⌘', '⇧', 'O']);
  expect(keyLabels('mod+shift+o', false)).toEqual(['Ctrl', 'Shift', 'O']);
  expect(keyLabels('escape', false)).toEqual(['Esc']);
  expect(isApple('MacIntel') && isApple('iPhone') && !isApple('Linux x86_64')).toBe(true);
});
