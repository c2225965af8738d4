/**
 * What each identity has used: added to the store when an answer ends, and until it is written there counted here, so that budgets
 * hold while many answers run. Writing is not waited for, except at the end.
 */
import { ApiError } from '@parley/protocol';
import type { Store } from '../store/types.ts';
import type { Standing } from './credentials.ts';
import type { Spent } from './usage.ts';

/** Longer than sums are kept (brief-cache.ts). */
const REMEMBERED_MS = 5000;

export class Ledger {
  readonly #store: Store | undefined;
  readonly #onFault: (error: unknown) => void;
  /** Tokens that are not in the store yet. */
  readonly #unwritten = new Map<string, number>();
  /** Those that have got there so lately that sums asked for before do not have them. */
  readonly #justWritten: { readonly id: string; readonly tokens: number; readonly at: number }[] = [];
  readonly #writing = new Set<Promise<void>>();

  constructor(store: Store | undefined, onFault: (error: unknown) => void) {
    this.#store = store;
    this.#onFault = onFault;
  }

  /** Tokens that were read or said just now; `write` follows with their sum. */
  spend(id: string, tokens: number): void {
    const sum = (this.#unwritten.get(id) ?? 0) + tokens;
    if (sum > 0) this.#unwritten.set(id, sum);
    else this.#unwritten.delete(id);
  }

  write(id: string, { model, promptTokens, completionTokens, cachedTokens }: Spent): void {
    const writing = (this.#store?.usage.add({ keyId: id, model, promptTokens, completionTokens, cachedTokens }) ?? Promise.resolve())
      // Where it could not be written it goes on counting against the budget here.
      .then(() => this.#written(id, promptTokens + completionTokens), this.#onFault)
      .finally(() => this.#writing.delete(writing));
    this.#writing.add(writing);
  }

  /** Throws ApiError (429 `insufficient_quota`) where a key's budget is used up. An answer that is running is not cut off by it. */
  check({ record, asOf, total, month }: Standing): void {
    const unwritten = this.#justWritten.reduce((sum, { id, tokens, at }) => (id === record.id && at >= asOf ? sum + tokens : sum), this.#unwritten.get(record.id) ?? 0);
    for (const [budget, used, period] of [[record.budgetTokens, total, ''], [record.monthlyBudgetTokens, month, ' this month']] as const) {
      if (budget === null || used === null || used.totalTokens + unwritten < budget) continue;
      throw new ApiError(`You exceeded your current quota: the key ${record.name} may use ${budget} tokens${period}, and has used ${used.totalTokens + unwritten}.`, {
        // Asking again does not help, which OpenAI's clients would do by themselves.
        status: 429, type: 'insufficient_quota', code: 'insufficient_quota', headers: { 'x-should-retry': 'false' },
      });
    }
  }

  /** Resolves when all is written that has ended. */
  async flush(): Promise<void> {
    while (this.#writing.size > 0) await Promise.all(this.#writing);
  }

  #written(id: string, tokens: number): void {
    this.spend(id, -tokens);
    const at = performance.now();
    this.#justWritten.push({ id, tokens, at });
    const old = this.#justWritten.findIndex((each) => each.at > at - REMEMBERED_MS);
    if (old > 0) this.#justWritten.splice(0, old);
  }
}
