/** Requests that wait: keys take turns, one place at a time; within a key the higher priority goes first, then who came first. */

export interface Queued {
  readonly queueKey: string;
  readonly priority: number;
}

export class FairQueue<Item extends Queued> {
  /** Keys in the order of their turns, none of them without items. */
  readonly #byKey = new Map<string, Item[]>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  push(item: Item): void {
    const items = this.#byKey.get(item.queueKey) ?? [];
    this.#byKey.set(item.queueKey, items);
    const behind = items.findIndex(({ priority }) => priority < item.priority);
    items.splice(behind < 0 ? items.length : behind, 0, item);
    this.#size++;
  }

  /** Whose turn it is; it stays that one's until `served`. */
  get next(): Item | undefined {
    const [items] = this.#byKey.values();
    return items?.[0];
  }

  /** The item has had a place. Its key goes behind the others; the item itself stays unless it wants no more. */
  served(item: Item, { done }: { done: boolean }): void {
    const items = this.#byKey.get(item.queueKey);
    if (items === undefined) return;
    this.#byKey.delete(item.queueKey);
    this.#byKey.set(item.queueKey, items);
    if (done) this.remove(item);
  }

  remove(item: Item): boolean {
    const items = this.#byKey.get(item.queueKey);
    const index = items?.indexOf(item) ?? -1;
    if (items === undefined || index < 0) return false;
    items.splice(index, 1);
    if (items.length === 0) this.#byKey.delete(item.queueKey);
    this.#size--;
    return true;
  }

  *[Symbol.iterator](): Generator<Item> {
    for (const items of this.#byKey.values()) yield* items;
  }
}
