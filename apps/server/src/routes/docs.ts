/** GET /openapi.json and /docs: what this server can do, for programs and for people. */
import type { Hono } from 'hono';
import packageJson from '../../package.json' with { type: 'json' };
import type { Environment } from '../app.ts';
import { describeApi, type Document } from '../openapi/document.ts';
import { DOCS_POLICY, docsPage } from '../openapi/page.ts';

export function docsRoutes(app: Hono<Environment>): void {
  let made: Document | undefined;
  // At the first request: by then every part has registered its routes.
  const document = (): Document => (made ??= describeApi(app.routes.filter(({ method }) => method !== 'ALL').map(({ method, path }) => `${method} ${path}`), packageJson.version));
  app.get('/openapi.json', (context) => context.json(document()));
  app.get('/docs', (context) => context.html(docsPage(document(), new URL(context.req.url).origin), 200, { 'content-security-policy': DOCS_POLICY }));
}
