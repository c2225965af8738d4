/** Names as a hub uses them: OWNER/NAME@REVISION, and paths of files inside a model. */
import { HubError } from './errors.ts';

export interface HubName {
  /** `owner/name`. */
  readonly repository: string;
  /** A branch, a tag or a commit; undefined where none was given. */
  readonly revision: string | undefined;
}

const PART = /^[A-Za-z0-9_](?:[\w.-]*[A-Za-z0-9_])?$/;
// `refs/pr/1` is one as well.
const REVISION = /^[A-Za-z0-9_][\w.+/-]*$/;

/** Undefined where `name` is no OWNER/NAME[@REVISION]. Hubs allow neither `--` nor `..` in a name, so `owner--name` is one of one model only. */
export function parseHubName(name: string): HubName | undefined {
  const at = name.indexOf('@');
  const repository = at < 0 ? name : name.slice(0, at);
  const revision = at < 0 ? undefined : name.slice(at + 1);
  const parts = repository.split('/');
  if (parts.length !== 2 || repository.length > 200) return undefined;
  if (!parts.every((part) => PART.test(part) && !part.includes('--') && !part.includes('..'))) return undefined;
  if (revision !== undefined && (!REVISION.test(revision) || revision.includes('..') || revision.length > 200)) return undefined;
  return { repository, revision };
}

/** Throws HubError `name`. */
export function requireHubName(name: string): HubName {
  const parsed = parseHubName(name);
  if (parsed) return parsed;
  throw new HubError('name', `"${name}" is no name of a model on a hub: write OWNER/NAME or OWNER/NAME@REVISION, as in HuggingFaceTB/SmolLM2-135M-Instruct`);
}

/** Whether a path that a hub names stays inside the folder it is put into, on every system. */
export function isSafePath(path: string): boolean {
  if (path === '' || path.length > 1024 || /[\\:\p{Cc}]/u.test(path)) return false;
  return path.split('/').every((part) => part !== '' && part !== '.' && part !== '..');
}
