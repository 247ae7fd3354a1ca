/** The list of entries: what the server gave, kept up to date by events, newest first. */
import type { Entry } from "../src/schema.ts";
import { Card, type CardActions, type Rights } from "./card.ts";

/** Entries on the page. */
export class Book {
  readonly #cards = new Map<string, Card>();
  readonly #list: HTMLElement;
  readonly #actions: CardActions;
  #owner = "";
  #keeper = false;

  constructor(list: HTMLElement, actions: CardActions) {
    this.#list = list;
    this.#actions = actions;
  }

  get size(): number {
    return this.#cards.size;
  }

  /** When the oldest entry on the page was signed. */
  get oldest(): number | undefined {
    let oldest: number | undefined;
    for (const { entry } of this.#cards.values()) {
      if (oldest === undefined || entry.createdAt < oldest) oldest = entry.createdAt;
    }
    return oldest;
  }

  /** Says who is reading; cards show what this reader may do. */
  readBy(owner: string, keeper: boolean): void {
    this.#owner = owner;
    this.#keeper = keeper;
    const now = Date.now();
    for (const card of this.#cards.values()) card.show(card.entry, this.#rights(card.entry), now);
  }

  /** Shows exactly these entries. */
  replace(entries: readonly Entry[]): void {
    const kept = new Set(entries.map((entry) => entry.id));
    for (const id of [...this.#cards.keys()]) if (!kept.has(id)) this.remove(id);
    for (const entry of entries) this.put(entry);
  }

  /** Adds or changes one; true where it was not there before. */
  put(entry: Entry): boolean {
    const known = this.#cards.get(entry.id);
    const card = known ?? new Card(entry, this.#actions);
    card.show(entry, this.#rights(entry), Date.now());
    if (known !== undefined) return false;
    this.#cards.set(entry.id, card);
    this.#list.insertBefore(card.element, this.#firstOlderThan(entry));
    return true;
  }

  /** Lets the reader see that this one has just come. */
  highlight(id: string): void {
    const element = this.#cards.get(id)?.element;
    if (element === undefined) return;
    element.dataset.new = "";
    element.addEventListener("animationend", (event) => {
      if (event.animationName === "afterglow") delete element.dataset.new;
    });
  }

  /** Takes one out. */
  remove(id: string): void {
    this.#cards.get(id)?.element.remove();
    this.#cards.delete(id);
  }

  /** Brings the relative times up to date. */
  tick(): void {
    const now = Date.now();
    for (const card of this.#cards.values()) card.tick(now);
  }

  #rights(entry: Entry): Rights {
    return { mine: entry.author === this.#owner, keeper: this.#keeper };
  }

  #firstOlderThan(entry: Entry): Element | null {
    for (const element of this.#list.children) {
      const other = this.#cards.get((element as HTMLElement).dataset.id ?? "")?.entry;
      if (other !== undefined && other.createdAt < entry.createdAt) return element;
    }
    return null;
  }
}
