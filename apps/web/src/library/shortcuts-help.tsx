/** The table of keys, in settings and on `?`. */
import type { ReactNode } from 'react';
import { Dialog } from '../components/dialog.tsx';
import { defineTexts, useTexts } from '../i18n.ts';
import { useCommands } from './commands.ts';
import { isApple, keyLabels } from './shortcuts.ts';

const texts = defineTexts({
  title: 'Keyboard shortcuts', anywhere: 'Anywhere', message: 'While writing', send: 'Send', line: 'New line', stop: 'Stop the answer',
  history: 'In the history', move: 'From conversation to conversation', ends: 'First and last', rename: 'Rename', remove: 'Delete',
}, {
  title: '键盘快捷键', anywhere: '任何地方', message: '输入时', send: '发送', line: '换行', stop: '停止回答',
  history: '在历史中', move: '逐个移动', ends: '第一个和最后一个', rename: '重命名', remove: '删除',
});

const nothing = (): void => undefined;

/** `scrolled`: what it stands in has nothing else that takes the focus, so it does, to be scrolled by keys. */
export function KeyList({ scrolled = false }: { readonly scrolled?: boolean }): ReactNode {
  const t = useTexts(texts);
  const commands = useCommands({ palette: nothing, help: nothing });
  const groups: readonly { readonly title: string; readonly rows: readonly { readonly label: string; readonly keys: readonly string[] }[] }[] = [
    { title: t('anywhere'), rows: commands.flatMap(({ label, keys }) => (keys === undefined ? [] : [{ label, keys: [keys] }])) },
    { title: t('message'), rows: [{ label: t('send'), keys: ['enter'] }, { label: t('line'), keys: ['shift+enter'] }, { label: t('stop'), keys: ['escape'] }] },
    {
      title: t('history'),
      rows: [
        { label: t('move'), keys: ['arrowup', 'arrowdown'] }, { label: t('ends'), keys: ['home', 'end'] }, { label: t('rename'), keys: ['f2'] }, { label: t('remove'), keys: ['delete'] },
      ],
    },
  ];
  const apple = isApple(navigator.platform);
  return (
    <div className="keys" {...(scrolled && { tabIndex: 0, role: 'region', 'aria-label': t('title') })}>
      {groups.map(({ title, rows }) => (
        <section key={title}>
          <h3>{title}</h3>
          <dl>
            {rows.map(({ label, keys }) => (
              <div key={label} className="keys-row">
                <dt>{label}</dt>
                <dd>{keys.map((each) => <span key={each} className="keys-stroke">{keyLabels(each, apple).map((part) => <kbd key={part}>{part}</kbd>)}</span>)}</dd>
              </div>
            ))}
          </dl>
        </section>
      ))}
    </div>
  );
}

export function ShortcutsHelp({ open, onClose }: { readonly open: boolean; readonly onClose: () => void }): ReactNode {
  const t = useTexts(texts);
  return <Dialog title={t('title')} open={open} onClose={onClose}><KeyList scrolled /></Dialog>;
}
