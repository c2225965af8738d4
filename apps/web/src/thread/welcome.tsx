/** The page before anything is said: what this is, who answers, and four things to begin with that a small bilingual model can do. */
import { type ReactNode } from 'react';
import { GlobeIcon, GhostIcon, PersonIcon, SearchIcon, SunIcon } from '../components/icons.tsx';
import { defineTexts, type Language, useLanguage, useTexts } from '../i18n.ts';
import { usePage } from '../state.ts';
import { useThread } from './context.ts';
import { useModel } from './model-picker.tsx';

const texts = defineTexts({
  hello: 'What shall we talk about?',
  what: 'This is {model}, a language model that runs on this computer. What you say stays here.',
  somewhere: 'This is Parley. What you say goes to your own server, and nowhere else.',
  temporary: 'A temporary chat',
  temporaryWhat: 'Nothing said here is kept. It is gone when you leave.',
  examples: 'Things to begin with',
}, {
  hello: '聊点什么？',
  what: '这是 {model}，一个运行在这台电脑上的语言模型。你说的话不会离开这里。',
  somewhere: '这是 Parley。你说的话只会送到你自己的服务器。',
  temporary: '临时对话',
  temporaryWhat: '这里的内容不会保存，离开后就没有了。',
  examples: '可以这样开始',
});

interface Example {
  readonly title: string;
  readonly prompt: string;
  readonly icon: ReactNode;
}

const EXAMPLES: Readonly<Record<Language, readonly Example[]>> = {
  en: [
    { title: 'Say hello', prompt: 'Hello! Who are you?', icon: <PersonIcon /> },
    { title: 'Translate', prompt: 'Translate into Chinese: I would like a cup of tea.', icon: <GlobeIcon /> },
    { title: 'Tell the mood of a review', prompt: 'Is this review positive or negative? The food was cold and the waiter was rude.', icon: <SunIcon /> },
    { title: 'Ask something', prompt: 'What is the capital of France?', icon: <SearchIcon /> },
  ],
  zh: [
    { title: '打个招呼', prompt: '你好！你是谁？', icon: <PersonIcon /> },
    { title: '翻译一句话', prompt: '把这句话翻译成英语：我明天要去北京。', icon: <GlobeIcon /> },
    { title: '判断评论的情感', prompt: '判断情感：酒店很干净，服务员也很热情。', icon: <SunIcon /> },
    { title: '问个问题', prompt: '中国的首都是哪里？', icon: <SearchIcon /> },
  ],
};

export function Welcome(): ReactNode {
  const t = useTexts(texts);
  const language = useLanguage();
  const thread = useThread();
  const temporary = usePage((state) => state.temporary);
  const model = useModel();
  const here = ['127.0.0.1', 'localhost', '[::1]'].includes(location.hostname);
  return (
    <div className="welcome">
      {temporary ? <span className="welcome-mark"><GhostIcon /></span> : <img className="welcome-mark" src="/icon.svg" alt="" width="56" height="56" />}
      <h1>{temporary ? t('temporary') : t('hello')}</h1>
      <p>{temporary ? t('temporaryWhat') : here ? t('what', { model: model?.title ?? 'Parley' }) : t('somewhere')}</p>
      <ul className="examples" aria-label={t('examples')}>
        {EXAMPLES[language].map(({ title, prompt, icon }) => (
          <li key={prompt}>
            <button type="button" className="example" onClick={() => void thread.send(prompt)}>
              <span className="example-icon">{icon}</span>
              <span className="example-words"><span className="example-title">{title}</span><span className="example-prompt">{prompt}</span></span>
            </button>
          </li>
        ))}
      </ul>
    </div>
  );
}
