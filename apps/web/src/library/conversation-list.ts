/**
 * The list of conversations as the sidebar shows it: pages by cursor, search, and changes that show at once and are taken back where
 * the server refuses them. Knows nothing of React; `snapshot` is a new object whenever anything in it changed.
 */
import type { ConversationPage, ListedConversation } from '@parley/protocol';
import { type Api, type RequestError, toRequestError } from '../api.ts';

export type ListApi = Pick<Api, 'conversations' | 'updateConversation' | 'removeConversation'>;

/** first: nothing is there yet; again: another question, what is shown stays until its answer; refresh: what is shown, as it is now. */
export type Loading = 'first' | 'again' | 'refresh' | 'more';

export interface ListState {
  /** The one that was talked in last comes first. Those that are being deleted are not among them. */
  readonly items: readonly ListedConversation[];
  /** As typed; the items are of the last query that was answered, `shown`. */
  readonly query: string;
  readonly shown: string;
  /** The archive instead of what is not in it. A search looks in both. */
  readonly archived: boolean;
  readonly loading: Loading | null;
  readonly complete: boolean;
  /** How many are being deleted and can still be taken back. */
  readonly leaving: number;
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
  #state: ListState = { items: [], query: '', shown: '', archived: false, loading: null, complete: false, leaving: 0, error: null };
  /** All that were loaded, those being deleted too. */
  #known: readonly ListedConversation[] = [];
  #next: string | null = null;
  #request: AbortController | null = null;
  #cancelSearch: () => void = () => undefined;
  /** Being deleted. They go together, when nothing was added for a while. */
  readonly #leaving = new Set<string>();
  #cancelRemoval: () => void = () => undefined;

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

  /** What was talked in, named or deleted elsewhere. What was scrolled to stays. */
  async refresh(): Promise<void> {
    if (this.#state.loading === null) await this.#fetch(this.#known.length === 0 ? 'first' : 'refresh');
    else await this.load();
  }

  /** The page after those shown; nothing where one is on its way, or there are no more. */
  async more(): Promise<void> {
    if (this.#state.loading !== null || this.#next === null) return;
    await this.#fetch('more');
  }

  async #fetch(loading: Loading): Promise<void> {
    this.#request?.abort();
    const request = new AbortController();
    this.#request = request;
    const { query, archived } = this.#state;
    const search = query.trim();
    this.#change({ loading, error: null });
    try {
      const page = await this.#options.api.conversations({
        limit: PAGE, ...(search === '' ? { archived } : { search }), ...(loading === 'more' && this.#next !== null && { cursor: this.#next }),
      }, request.signal);
      if (this.#request !== request) return;
      this.#take(page, loading);
      this.#change({ loading: null, shown: query, complete: this.#next === null });
    } catch (error) {
      if (this.#request !== request) return;
      this.#change({ loading: null, error: toRequestError(error) });
    }
  }

  #take({ items, next }: ConversationPage, loading: Loading): void {
    const ids = new Set(items.map(({ id }) => id));
    // A first page that has nothing in common with what is known says nothing about what lies between the two.
    const meets = this.#known.some(({ id }) => ids.has(id));
    if (loading === 'more') {
      // Whoever was talked in between two pages has moved to the top: it is known already.
      const before = new Set(this.#known.map(({ id }) => id));
      this.#known = [...this.#known, ...items.filter(({ id }) => !before.has(id))];
    } else if (loading === 'refresh' && meets && next !== null && this.#known.length > items.length) {
      const end = items.at(-1)?.updatedAt ?? 0;
      this.#known = [...items, ...this.#known.filter(({ id, updatedAt }) => !ids.has(id) && updatedAt <= end)];
      return;
    } else {
      this.#known = items;
    }
    this.#next = next;
  }

  // ---- changing ---------------------------------------------------------------------------------------------------------------------

  async rename(id: string, title: string): Promise<void> {
    const text = title.trim();
    const old = this.#known.find((item) => item.id === id);
    if (text === '' || text === old?.title) return;
    await this.#patch(id, { title: text }, (items) => items.map((item) => (item.id === id ? { ...item, title: text } : item)));
  }

  /** Into the archive or out of it: it leaves the list that is shown, but not what a search found. */
  async archive(id: string, archived: boolean): Promise<void> {
    await this.#patch(id, { archived }, (items) => {
      const stays = this.#state.shown.trim() !== '' || this.#state.archived === archived;
      return stays ? items.map((item) => (item.id === id ? { ...item, archived } : item)) : items.filter((item) => item.id !== id);
    });
  }

  /** Back to where it was before `archive`, into the list that it was taken out of. */
  async undoArchive(before: ListedConversation): Promise<void> {
    await this.#patch(before.id, { archived: before.archived }, (items) => (
      this.#state.shown.trim() !== '' || this.#state.archived === before.archived ? insert(items, before) : items
    ));
  }

  async #patch(id: string, patch: { title?: string; archived?: boolean }, apply: (items: readonly ListedConversation[]) => readonly ListedConversation[]): Promise<void> {
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
    this.#leaving.add(id);
    this.resumeRemoval();
    this.#change({});
  }

  /** Takes back what is being deleted. What it was, the last one last. */
  undoRemove(): readonly string[] {
    this.#cancelRemoval();
    const ids = [...this.#leaving];
    this.#leaving.clear();
    this.#change({});
    return ids;
  }

  /** The time stands still while somebody is about to take it back. */
  holdRemoval(): void {
    this.#cancelRemoval();
  }

  resumeRemoval(): void {
    this.#cancelRemoval();
    if (this.#leaving.size > 0) this.#cancelRemoval = this.#options.schedule(() => void this.flush(), this.#options.undoMs);
  }

  /** What is being deleted is deleted now: its time is over, or the page goes away. */
  async flush(): Promise<void> {
    this.#cancelRemoval();
    await Promise.all([...this.#leaving].map((id) => this.#removeNow(id)));
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
    this.#state = { ...this.#state, ...patch, leaving: this.#leaving.size, items: this.#leaving.size === 0 ? this.#known : this.#known.filter(({ id }) => !this.#leaving.has(id)) };
    for (const listener of this.#listeners) listener();
  }
}

/** Where its time puts it. */
function insert(items: readonly ListedConversation[], item: ListedConversation): readonly ListedConversation[] {
  const others = items.filter(({ id }) => id !== item.id);
  const at = others.findIndex(({ updatedAt }) => updatedAt < item.updatedAt);
  return at < 0 ? [...others, item] : others.toSpliced(at, 0, item);
}
