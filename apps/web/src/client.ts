/** The one `Api` of the page: the server's, or with `vite --mode fake` an invented one. */
import { type Api, createApi } from './api.ts';
import { page } from './state.ts';

const signedOut = (): void => page.set((state) => ({ session: state.session && { ...state.session, user: null, signInRequired: true } }));

export const client: Api = import.meta.env.MODE === 'fake'
  ? (await import('./fake-api.ts')).createFakeApi({ tokensPerSecond: 40 })
  : createApi({ onSignedOut: signedOut });
