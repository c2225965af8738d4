/** Where the page begins. */
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { App } from './app.tsx';
import './styles/tokens.css';
import './styles/base.css';
import './styles/components.css';
import './styles/app.css';
import './styles/thread.css';
import './styles/markdown.css';

const root = document.getElementById('root');
if (root === null) throw new Error('index.html has no #root to draw the page in');
createRoot(root).render(<StrictMode><App /></StrictMode>);
