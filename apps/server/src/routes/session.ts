/** Sign-in for the page: /api/session. The cookie is a random token of which the store keeps a hash; scripts cannot read it. */
import { ApiError, parseRequest, type SessionInfo, signInRequest } from '@parley/protocol';
import type { Context, Hono } from 'hono';
import packageJson from '../../package.json' with { type: 'json' };
import type { Environment } from '../app.ts';
import { endedCookies, sessionCookie } from '../gate/credentials.ts';
import type { Gate } from '../gate/gate.ts';
import { readBody } from '../stream.ts';

const LOCALES = ['en', 'zh'] as const;

export function sessionRoutes(app: Hono<Environment>, gate: Gate): void {
  const { credentials, attempts, store } = gate;
  const describe = async (context: Context<Environment>, user: SessionInfo['user']): Promise<Response> => context.json({
    user, signInRequired: await credentials.signInRequired(), locale: localeOf(context.req.header('accept-language') ?? ''), version: packageJson.version,
  } satisfies SessionInfo);

  app.get('/api/session', async (context) => {
    const session = await credentials.session(context.req.header('cookie'));
    return describe(context, session === null ? null : { id: session.account.id, name: session.account.name });
  });

  app.post('/api/session', async (context) => {
    const { name, password } = parseRequest(signInRequest, await readBody(context, { secret: true }));
    // The store takes as long for names that it does not have.
    const account = await attempts.try({ name, address: gate.addressOf(context) }, async () => store?.accounts.verify(name, password) ?? null);
    if (account === null || store === undefined) {
      throw new ApiError('The name or the password is wrong.', { status: 401, type: 'authentication_error', code: 'invalid_credentials' });
    }
    await credentials.signOut(context.req.header('cookie'));
    const { token, session } = await store.accounts.signIn(account.id);
    context.header('set-cookie', sessionCookie(token, { secure: gate.isSecure(context), maxAgeSeconds: Math.max(1, Math.floor((session.expiresAt - Date.now()) / 1000)) }));
    return describe(context, { id: account.id, name: account.name });
  });

  app.delete('/api/session', async (context) => {
    await credentials.signOut(context.req.header('cookie'));
    for (const cookie of endedCookies) context.header('set-cookie', cookie, { append: true });
    return describe(context, null);
  });
}

/** The first of the browser's languages, by its weights, that the page has. */
function localeOf(accepted: string): string {
  const languages = accepted.split(',').map((part) => {
    const [tag = '', ...parameters] = part.trim().split(';');
    const weight = parameters.map((each) => /^\s*q=([\d.]+)$/.exec(each)?.[1]).find((each) => each !== undefined);
    return { language: tag.toLowerCase().split('-')[0], weight: weight === undefined ? 1 : Number(weight) };
  }).toSorted((a, b) => b.weight - a.weight);
  return languages.map(({ language }) => LOCALES.find((each) => each === language)).find((each) => each !== undefined) ?? 'en';
}
