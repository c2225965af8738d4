import { resolve } from 'node:path';

/** Where the page's build lies in this repository (`npm run build -w @parley/web`); it may be built while the server runs. */
export const pageFolder = (): string => resolve(import.meta.dirname, '../../web/dist');
