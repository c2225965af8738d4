/** Listens for the keys that hold everywhere, and shows what they open: the palette and the table of keys. */
import { type ReactNode, useCallback, useEffect, useState } from 'react';
import { shortcutsOf, useCommands } from './commands.ts';
import { Palette } from './palette.tsx';
import { isApple, shortcutOf, takesText } from './shortcuts.ts';
import { ShortcutsHelp } from './shortcuts-help.tsx';

export function CommandCenter(): ReactNode {
  const [open, setOpen] = useState<'palette' | 'help' | null>(null);
  const palette = useCallback(() => setOpen('palette'), []);
  const help = useCallback(() => setOpen('help'), []);
  const close = useCallback(() => setOpen(null), []);
  const commands = useCommands({ palette, help });
  useEffect(() => {
    const apple = isApple(navigator.platform);
    const onKeyDown = (event: KeyboardEvent): void => {
      // A dialog is about itself. The drawer is no question, only the history in another place.
      if (event.defaultPrevented || document.querySelector('dialog[open]:not(.library-drawer)') !== null) return;
      const active = document.activeElement;
      const typing = active instanceof HTMLElement && takesText({ tagName: active.tagName, isContentEditable: active.isContentEditable, ...(active instanceof HTMLInputElement && { type: active.type }) });
      const shortcut = shortcutOf(shortcutsOf(commands), event, { apple, typing });
      if (shortcut === undefined) return;
      event.preventDefault();
      shortcut.run();
    };
    addEventListener('keydown', onKeyDown);
    return () => removeEventListener('keydown', onKeyDown);
  }, [commands]);
  return (
    <>
      <Palette open={open === 'palette'} onClose={close} commands={commands} />
      <ShortcutsHelp open={open === 'help'} onClose={close} />
    </>
  );
}
