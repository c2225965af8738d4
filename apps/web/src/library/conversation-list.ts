/**
 * The list of conversations as the sidebar shows it: pages by cursor, search, and changes that show at once and are taken back where
 * the server refuses them. Knows nothing of React; `snapshot` is a new object whenever anything in it changed.
 */
import type { ConversationSummary } from '@parley/protocol';
import { type Api, type RequestError, toRequestError } from '../api.ts';

export type ListApi = Pick<Api, 'conversations' | 'updateConversation' | 'removeConversation'>;

export interface ListState {
  /** The one that was talked in last comes first. Those that are being deleted are not among them. */
  readonly items: readonly ConversationSummary[];
  /** As typed; the items are of the last query that was answered, `shown`. */
  readonly query: string;
  readonly shown: string;
  readonly archived: boolean;
  /** first: nothing is there yet. */
  readonly loading: 'first' | 'more' | 'again' | null;
  readonly complete: boolean;
  readonly error: RequestError | null;
}

export interface ListOptions {
  readonly api: ListApi;
  /** How long a deletion can be taken back, and typing waits for more. */
  readonly undoMs?: number;
  readonly searchMs?: number;
  /** setTimeout and its opposite; tests turn the clock by hand. */
  readonly schedule?: (run: () => void, ms: number) => () => void;
  /** A change that was taken back because the server refused it. */
  readonly onRefused?: (error: RequestError) => void;
}

export const UNDO_MS = 10_000;
const SEARCH_MS = 200;
const PAGE = 60;

const later = (run: () => void, ms: number): (() => void) => {
  const timer = setTimeout(run, ms);
  return () => clearTimeout(timer);
};

export class ConversationList {
  readonly #options: Required<ListOptions>;
  readonly #listeners = new Set<() => void>();
  #state: ListState = { items: [], query: '', shown: '', archived: false, loading: null, complete: false, error: null };
  /** All that were loaded, those being deleted too. */
  #known: readonly ConversationSummary[] = [];
  #next: string | null = null;
  #request: AbortController | null = null;
  #cancelSearch: () => void = () => undefined;
  /** Being deleted → how to call it off. */
  readonly #leaving = new Map<string, () => void>();

  constructor(options: ListOptions) {
    this.#options = { undoMs: UNDO_MS, searchMs: SEARCH_MS, schedule: later, onRefused: () => undefined, ...options };
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  };

  readonly snapshot = (): ListState => this.#state;

  // ---- reading ----------------------------------------------------------------------------------------------------------------------

  /** Searches when typing rests; an emptied field at once. */
  search(query: string): void {
    if (query === this.#state.query) return;
    this.#change({ query });
    this.#cancelSearch();
    if (query.trim() === '') void this.load();
    else this.#cancelSearch = this.#options.schedule(() => void this.load(), this.#options.searchMs);
  }

  showArchived(archived: boolean): void {
    if (archived === this.#state.archived) return;
    this.#known = [];
    this.#change({ archived });
    void this.load();
  }

  /** From the beginning. What is shown stays until the answer is there. */
  async load(): Promise<void> {
    this.#cancelSearch();
    await this.#fetch(this.#known.length === 0 ? 'first' : 'again');
  }

  /** The page after those shown; nothing where one is on its way, or there are no more. */
  async more(): Promise<void> {
    if (this.#state.loading !== null || this.#next === null) return;
    await this.#fetch('more');
  }

  async #fetch(loading: 'first' | 'more' | 'again'): Promise<void> {
    this.#request?.abort();
    const request = new AbortController();
    this.#request = request;
    const { query, archived } = this.#state;
    this.#change({ loading, error: null });
    try {
      const page = await this.#options.api.conversations({
        archived, limit: PAGE, ...(query.trim() !== '' && { search: query.trim() }), ...(loading === 'more' && this.#next !== null && { cursor: this.#next }),
      }, request.signal);
      if (this.#request !== request) return;
      // Whoever was talked in between two pages has moved to the top: it is known already.
      const before = loading === 'more' ? this.#known : [];
      const ids = new Set(before.map(({ id }) => id));
      this.#known = [...before, ...page.items.filter(({ id }) => !ids.has(id))];
      this.#next = page.next;
      this.#change({ loading: null, shown: query, complete: page.next === null });
    } catch (error) {
      if (this.#request !== request) return;
      this.#change({ loading: null, error: toRequestError(error) });
    }
  }

  // ---- changing ---------------------------------------------------------------------------------------------------------------------

  /** A conversation was begun, talked in, or named elsewhere in the page: it stands first now. */
  touch(summary: ConversationSummary): void {
    const old = this.#known.find(({ id }) => id === summary.id);
    const { query, archived } = this.#state;
    // Whether a search finds it only the server knows; one that was found stays.
    if (summary.archived !== archived || (old === undefined && query.trim() !== '')) return;
    if (old !== undefined && old.updatedAt === summary.updatedAt) this.#known = this.#known.map((item) => (item.id === summary.id ? { ...item, ...summary } : item));
    else this.#known = [{ ...old, ...summary }, ...this.#known.filter(({ id }) => id !== summary.id)];
    this.#change({});
  }

  async rename(id: string, title: string): Promise<void> {
    const text = title.trim();
    const old = this.#known.find((item) => item.id === id);
    if (text === '' || text === old?.title) return;
    await this.#patch(id, { title: text }, (items) => items.map((item) => (item.id === id ? { ...item, title: text } : item)));
  }

  /** Into the archive or out of it: it leaves the list that is shown. */
  async archive(id: string, archived: boolean): Promise<void> {
    await this.#patch(id, { archived }, (items) => items.filter((item) => item.id !== id || this.#state.archived === archived));
  }

  /** Brings it back into the list where it was archived a moment ago. */
  async unarchive(summary: ConversationSummary): Promise<void> {
    await this.#patch(summary.id, { archived: false }, (items) => insert(items, { ...summary, archived: false }));
  }

  async #patch(id: string, patch: { title?: string; archived?: boolean }, apply: (items: readonly ConversationSummary[]) => readonly ConversationSummary[]): Promise<void> {
    const before = this.#known.find((item) => item.id === id);
    this.#known = apply(this.#known);
    this.#change({});
    try {
      await this.#options.api.updateConversation(id, patch);
    } catch (error) {
      if (before !== undefined) this.#known = insert(this.#known.filter((item) => item.id !== id), before);
      this.#change({});
      this.#options.onRefused(toRequestError(error));
    }
  }

  /** Out of sight at once; gone for good when the time to take it back is over, or the page is left. */
  remove(id: string): void {
    if (this.#leaving.has(id)) return;
    this.#leaving.set(id, this.#options.schedule(() => void this.#removeNow(id), this.#options.undoMs));
    this.#change({});
  }

  /** True where it was not too late. */
  undoRemove(id: string): boolean {
    const cancel = this.#leaving.get(id);
    if (cancel === undefined) return false;
    cancel();
    this.#leaving.delete(id);
    this.#change({});
    return true;
  }

  /** What is being deleted is deleted now: the page goes away. */
  async flush(): Promise<void> {
    await Promise.all([...this.#leaving].map(async ([id, cancel]) => {
      cancel();
      await this.#removeNow(id);
    }));
  }

  async #removeNow(id: string): Promise<void> {
    try {
      await this.#options.api.removeConversation(id);
      this.#known = this.#known.filter((item) => item.id !== id);
    } catch (raw) {
      const error = toRequestError(raw);
      if (error.status === 404) this.#known = this.#known.filter((item) => item.id !== id);
      else this.#options.onRefused(error);
    }
    this.#leaving.delete(id);
    this.#change({});
  }

  #change(patch: Partial<ListState>): void {
    this.#state = { ...this.#state, ...patch, items: this.#leaving.size === 0 ? this.#known : this.#known.filter(({ id }) => !this.#leaving.has(id)) };
    for (const listener of this.#listeners) listener();
  }
}

/** Where its time puts it. */
function insert(items: readonly ConversationSummary[], item: ConversationSummary): readonly ConversationSummary[] {
  const others = items.filter(({ id }) => id !== item.id);
  const at = others.findIndex(({ updatedAt }) => updatedAt < item.updatedAt);
  return at < 0 ? [...others, item] : others.toSpliced(at, 0, item);
}
