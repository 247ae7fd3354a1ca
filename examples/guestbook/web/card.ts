/**
 * One entry on the page. Whatever a visitor wrote reaches the document through `textContent` only, so
 * it is text whatever it looks like.
 */
import type { Entry } from "../src/schema.ts";
import { MESSAGE_LIMIT } from "../src/limits.ts";
import { ago, exactly } from "./time.ts";

/** What a reader may do with an entry. */
export interface Rights {
  readonly mine: boolean;
  readonly keeper: boolean;
}

/** What the buttons of a card do; a rejection is shown on the card. */
export interface CardActions {
  edit(id: string, message: string): Promise<void>;
  remove(id: string): Promise<void>;
}

/** The element of one entry, kept over its changes so that an open editor survives an update. */
export class Card {
  readonly element = document.createElement("li");
  readonly #who = text("span", "who");
  readonly #mine = text("span", "mine", "you");
  readonly #when = document.createElement("time");
  readonly #edited = text("span", "when");
  readonly #words = text("p", "words");
  readonly #actions = text("div", "actions");
  readonly #problem = text("p", "problem");
  readonly #mark = text("span", "mark");
  readonly #body = document.createElement("div");
  readonly #do: CardActions;
  #entry: Entry;
  #rights: Rights = { mine: false, keeper: false };

  constructor(entry: Entry, actions: CardActions) {
    this.#entry = entry;
    this.#do = actions;
    this.element.className = "entry";
    this.element.dataset.id = entry.id;
    this.#mark.ariaHidden = "true";
    this.#when.className = "when";
    this.#problem.role = "alert";
    this.#problem.hidden = true;
    const byline = text("p", "byline");
    byline.append(this.#who, this.#mine, this.#when, this.#edited);
    this.#body.append(byline, this.#words, this.#actions, this.#problem);
    this.element.append(this.#mark, this.#body);
  }

  get entry(): Entry {
    return this.#entry;
  }

  /** Shows the entry as it is now. */
  show(entry: Entry, rights: Rights, now: number): void {
    const sameRights = rights.mine === this.#rights.mine && rights.keeper === this.#rights.keeper;
    this.#entry = entry;
    this.#rights = rights;
    this.#who.textContent = entry.name;
    this.#mark.textContent = initial(entry.name);
    this.#mark.style.setProperty("--hue", String(hue(entry.author)));
    this.#words.textContent = entry.message;
    this.#mine.hidden = !rights.mine;
    this.tick(now);
    if (!sameRights || this.#actions.childElementCount === 0) this.#showActions();
  }

  /** Brings the relative times up to date. */
  tick(now: number): void {
    const { createdAt, editedAt } = this.#entry;
    this.#when.dateTime = new Date(createdAt).toISOString();
    this.#when.title = exactly(createdAt);
    this.#when.textContent = ago(createdAt, now);
    this.#edited.hidden = editedAt === undefined || editedAt === null;
    this.#edited.textContent = this.#edited.hidden ? "" : "edited";
    if (!this.#edited.hidden) this.#edited.title = exactly(editedAt!);
  }

  #showActions(): void {
    const { mine, keeper } = this.#rights;
    const buttons: HTMLElement[] = [];
    if (mine) buttons.push(button("Edit", "link", () => this.#openEditor()));
    if (mine || keeper) buttons.push(button("Delete", "link", () => this.#askToDelete()));
    for (const each of buttons) {
      each.ariaLabel = `${each.textContent} the entry of ${this.#entry.name}`;
    }
    this.#actions.replaceChildren(...buttons);
    this.#actions.hidden = buttons.length === 0;
  }

  #askToDelete(): void {
    const question = text("span", "quiet", "Take this entry out of the book?");
    const yes = button("Yes, delete", "link danger", () => {
      void this.#run(() => this.#do.remove(this.#entry.id));
    });
    const keep = button("Keep it", "link", () => {
      this.#showActions();
      this.#actions.querySelector<HTMLElement>("button:last-child")?.focus();
    });
    this.#actions.replaceChildren(question, yes, keep);
    keep.focus();
  }

  #openEditor(): void {
    const editor = document.createElement("form");
    editor.className = "editor";
    const area = document.createElement("textarea");
    area.value = this.#entry.message;
    area.maxLength = MESSAGE_LIMIT;
    area.rows = 4;
    area.ariaLabel = "Your message";
    const save = button("Save", "primary", () => undefined);
    save.type = "submit";
    const row = text("div", "row");
    const close = (): void => {
      editor.remove();
      this.#words.hidden = false;
      this.#showActions();
      this.#actions.querySelector<HTMLElement>("button")?.focus();
    };
    row.append(save, button("Cancel", "link", close));
    editor.append(area, row);
    editor.addEventListener("submit", async (event) => {
      event.preventDefault();
      if (await this.#run(() => this.#do.edit(this.#entry.id, area.value))) close();
    });
    editor.addEventListener("keydown", (event) => {
      if (event.key === "Escape") close();
    });
    this.#words.hidden = true;
    this.#actions.hidden = true;
    this.#words.after(editor);
    area.focus();
  }

  /** True where it worked; otherwise the card says why. */
  async #run(work: () => Promise<void>): Promise<boolean> {
    this.element.dataset.pending = "";
    this.#problem.hidden = true;
    try {
      await work();
      return true;
    } catch (error) {
      this.#problem.textContent = error instanceof Error ? error.message : "That did not work.";
      this.#problem.hidden = false;
      this.#showActions();
      return false;
    } finally {
      delete this.element.dataset.pending;
    }
  }
}

function text<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  className: string,
  content = "",
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  element.className = className;
  element.textContent = content;
  return element;
}

function button(label: string, className: string, onClick: () => void): HTMLButtonElement {
  const element = text("button", className, label);
  element.type = "button";
  element.addEventListener("click", onClick);
  return element;
}

/** First letter as a reader sees it, accents and emoji included. */
function initial(name: string): string {
  const [first] = new Intl.Segmenter().segment(name);
  return first === undefined ? "·" : first.segment.toLocaleUpperCase();
}

/** The same author has the same colour everywhere (FNV-1a, spread over the circle). */
function hue(author: string): number {
  let hash = 0x811c9dc5;
  for (const letter of author) hash = Math.imul(hash ^ letter.codePointAt(0)!, 0x01000193);
  return (Math.imul(hash, 0x9e3779b1) >>> 0) % 360;
}
