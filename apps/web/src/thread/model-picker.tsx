/** Who answers: the models that the server has. */
import type { ReactNode } from 'react';
import type { TalkModel } from '@parley/protocol';
import { toRequestError } from '../api.ts';
import { setChat } from '../chat-settings.ts';
import { ChevronDownIcon } from '../components/icons.tsx';
import { Menu } from '../components/menu.tsx';
import { toast } from '../components/toast.tsx';
import { defineTexts, useTexts } from '../i18n.ts';
import { usePage } from '../state.ts';

const texts = defineTexts(
  { model: 'Model: {title}', none: 'No model', context: 'reads {count} tokens at once', notKept: 'The choice could not be kept with this conversation.' },
  { model: '模型：{title}', none: '没有模型', context: '一次读 {count} 个词元', notKept: '没能把这个选择存到对话里。' },
);

/** The chosen one, else the server's default. */
export function useModel(): TalkModel | undefined {
  const models = usePage((state) => state.models);
  const chosen = usePage((state) => state.chat.model);
  return models.find(({ id }) => id === chosen) ?? models.find((model) => model.default) ?? models[0];
}

export function ModelPicker(): ReactNode {
  const t = useTexts(texts);
  const models = usePage((state) => state.models);
  const chat = usePage((state) => state.chat);
  const model = useModel();
  if (model === undefined) return null;
  return (
    <Menu
      label={t('model', { title: model.title })} className="model-button" button={<><span>{model.title}</span><ChevronDownIcon /></>}
      items={models.map((each) => ({
        id: each.id,
        label: each.title,
        ...(each.contextLength !== null && { hint: t('context', { count: each.contextLength }) }),
        checked: each.id === model.id,
        onSelect: () => {
          setChat({ ...chat, model: each.id }).catch((error: unknown) => toast(`${t('notKept')} ${toRequestError(error).message}`, { kind: 'error' }));
        },
      }))}
    />
  );
}
