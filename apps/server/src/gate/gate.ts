/**
 * Before every route: is there one, may this request use it, and is it of a size and a form that it may have. What is not in the
 * table of routes does not exist. Bodies are read only after this.
 */
import { ApiError } from '@parley/protocol';
import type { Context, MiddlewareHandler } from 'hono';
import { matchedRoutes } from 'hono/route';
import type { Environment } from '../app.ts';
import { LOCAL } from './identity.ts';
import { type Route, ROUTES } from './routes.ts';

/** Sets `identity`. Throws ApiError: 404 where no declared route is, 401 and 403 for who may not. */
export function gate(): MiddlewareHandler<Environment> {
  return async (context, next) => {
    routeOf(context);
    context.set('identity', LOCAL);
    await next();
  };
}

/** The route that is going to answer, as the table has it. Handlers for all methods are no routes: they cannot be told from middleware. */
export function routeOf(context: Context<Environment>): Route & { readonly name: string } {
  const { path, method } = context.req;
  const matched = matchedRoutes(context).find((each) => each.method !== 'ALL');
  const name = matched === undefined ? '' : `${matched.method} ${matched.path}`;
  const route = Object.hasOwn(ROUTES, name) ? ROUTES[name] : undefined;
  const caught = name === 'GET /*' && /^\/(?:v1|api)(?:\/|$)/.test(path);
  if (route === undefined || caught) throw new ApiError(`Invalid URL (${method} ${path})`, { status: 404, code: 'unknown_url' });
  return { ...route, name };
}
