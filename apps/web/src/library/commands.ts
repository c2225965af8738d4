/** What can be done from anywhere in the page, by key or by name. */
import { useMemo } from 'react';
import { client } from '../client.ts';
import { defineTexts, useTexts } from '../i18n.ts';
import { closeDrawer, newConversation, openSettings, page, setPreferences, usePage } from '../state.ts';
import { conversations, download, removeConversation, setArchived } from './list.ts';
import { isNarrow } from './narrow.ts';
import { openSettingsAt } from './settings-state.ts';
import type { Keys, Shortcut } from './shortcuts.ts';

export const commandTexts = defineTexts({
  newChat: 'New chat', temporary: 'Temporary chat', palette: 'Find a conversation or a command', sidebar: 'Show or hide the history', searchHistory: 'Search the history',
  settings: 'Settings', answers: 'Model and parameters', personas: 'Personas', data: 'Export and import', help: 'Keyboard shortcuts',
  light: 'Light appearance', dark: 'Dark appearance', system: 'Appearance as the system', english: 'English', chinese: '中文 (Chinese)',
  markdown: 'Export this conversation as Markdown', json: 'Export this conversation as JSON', archive: 'Archive this conversation', remove: 'Delete this conversation',
}, {
  newChat: '新对话', temporary: '临时对话', palette: '查找对话或命令', sidebar: '显示或隐藏历史', searchHistory: '搜索历史',
  settings: '设置', answers: '模型与参数', personas: '角色', data: '导出与导入', help: '键盘快捷键',
  light: '浅色外观', dark: '深色外观', system: '外观跟随系统', english: 'English（英文）', chinese: '中文',
  markdown: '将此对话导出为 Markdown', json: '将此对话导出为 JSON', archive: '归档此对话', remove: '删除此对话',
});

export interface Command {
  readonly id: keyof typeof commandTexts.en;
  readonly label: string;
  readonly keys?: Keys;
  /** A plain key, which is a letter where text is written. */
  readonly plain?: boolean;
  readonly run: () => void;
}

const toggleHistory = (): void => {
  if (isNarrow()) page.set(({ drawer }) => ({ drawer: !drawer }));
  else setPreferences({ sidebar: !page.get().preferences.sidebar });
};

/** Opens the history where it is closed, and goes to its field. */
function searchHistory(): void {
  if (isNarrow()) page.set({ drawer: true });
  else setPreferences({ sidebar: true });
  requestAnimationFrame(() => document.querySelector<HTMLElement>('[data-library-search]')?.focus());
}

export function useCommands(open: { readonly palette: () => void; readonly help: () => void }): readonly Command[] {
  const t = useTexts(commandTexts);
  const id = usePage((state) => state.conversationId);
  const { palette, help } = open;
  return useMemo(() => {
    const command = (name: Command['id'], run: () => void, rest: Partial<Command> = {}): Command => ({ id: name, label: t(name), run, ...rest });
    const ofThis = id === null ? [] : [
      command('markdown', () => download(client.conversationExportUrl(id, 'markdown'))),
      command('json', () => download(client.conversationExportUrl(id, 'json'))),
      command('archive', () => {
        const listed = conversations.snapshot().items.find((item) => item.id === id);
        if (listed !== undefined) void setArchived(listed, true);
      }),
      command('remove', () => removeConversation(id), { keys: 'mod+shift+backspace' }),
    ];
    return [
      command('newChat', () => newConversation(), { keys: 'mod+shift+o' }),
      command('palette', palette, { keys: 'mod+k' }),
      command('searchHistory', searchHistory, { keys: '/', plain: true }),
      command('sidebar', toggleHistory, { keys: 'mod+shift+s' }),
      command('temporary', () => newConversation({ temporary: true })),
      command('settings', openSettings, { keys: 'mod+,' }),
      command('answers', () => openSettingsAt('answers')),
      command('personas', () => openSettingsAt('personas')),
      command('data', () => openSettingsAt('data')),
      command('help', help, { keys: '?', plain: true }),
      ...ofThis,
      command('light', () => setPreferences({ theme: 'light' })),
      command('dark', () => setPreferences({ theme: 'dark' })),
      command('system', () => setPreferences({ theme: 'system' })),
      command('english', () => setPreferences({ language: 'en' })),
      command('chinese', () => setPreferences({ language: 'zh' })),
    ].map((each) => ({ ...each, run: () => { closeDrawer(); each.run(); } }));
  }, [t, id, palette, help]);
}

export const shortcutsOf = (commands: readonly Command[]): Shortcut[] => commands.flatMap(({ id, keys, plain, run }) => (
  keys === undefined ? [] : [{ id, keys, whileTyping: plain !== true, run }]
));
