/** The messages of the room that is open, oldest first, kept up to date by events. */
import type { Message } from "../src/schema.ts";
import { button, element, make, showMark } from "./dom.ts";

/** What the buttons on a message do. */
export interface MessageActions {
  retract(id: string): Promise<void>;
  remove(id: string): Promise<void>;
  failed(problem: unknown): void;
}

const TOGETHER_MS = 5 * 60_000;
const time = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const full = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "medium" });

interface Shown {
  readonly message: Message;
  readonly item: HTMLLIElement;
}

/** The list on the page. */
export class Conversation {
  readonly #list = element("messages", HTMLOListElement);
  readonly #scroll = element("scroll", HTMLElement);
  readonly #silence = element("silence", HTMLElement);
  readonly #shown = new Map<string, Shown>();
  readonly #actions: MessageActions;
  #owner = "";
  #admin = false;

  constructor(actions: MessageActions) {
    this.#actions = actions;
  }

  /** When the oldest message on the page was sent. */
  get oldest(): number | undefined {
    const times = [...this.#shown.values()].map(({ message }) => message.sentAt);
    return times.length === 0 ? undefined : Math.min(...times);
  }

  /** Says who is reading: the buttons follow from that. */
  readBy(owner: string, admin: boolean): void {
    this.#owner = owner;
    this.#admin = admin;
  }

  /** Shows exactly these messages. */
  replace(messages: readonly Message[]): void {
    this.#shown.clear();
    this.#list.replaceChildren();
    for (const message of messages) this.#put(message);
    this.#arrange();
    this.#toEnd();
  }

  /** Adds earlier messages and keeps the place where one is reading. */
  addEarlier(messages: readonly Message[]): void {
    const below = this.#scroll.scrollHeight - this.#scroll.scrollTop;
    for (const message of messages) this.#put(message);
    this.#arrange();
    this.#scroll.scrollTop = this.#scroll.scrollHeight - below;
  }

  /** Adds one that has just been sent. */
  add(message: Message): void {
    const { scrollHeight, scrollTop, clientHeight } = this.#scroll;
    const atEnd = scrollHeight - scrollTop - clientHeight < 120;
    this.#put(message);
    this.#arrange();
    if (atEnd || message.author === this.#owner) this.#toEnd();
  }

  /** Takes one out. */
  remove(id: string): void {
    this.#shown.get(id)?.item.remove();
    this.#shown.delete(id);
    this.#arrange();
  }

  #toEnd(): void {
    this.#scroll.scrollTop = this.#scroll.scrollHeight;
  }

  #put(message: Message): void {
    if (this.#shown.has(message.id)) return;
    const item = this.#item(message);
    this.#shown.set(message.id, { message, item });
    const later = [...this.#list.children].reverse().find((other) =>
      Number((other as HTMLElement).dataset.sentAt) <= message.sentAt
    );
    if (later === undefined) this.#list.prepend(item);
    else later.after(item);
  }

  #item(message: Message): HTMLLIElement {
    const mine = message.author === this.#owner;
    const item = make("li", "message");
    item.dataset.id = message.id;
    item.dataset.author = message.author;
    item.dataset.sentAt = String(message.sentAt);
    if (mine) item.dataset.mine = "";
    const mark = make("span", "mark");
    mark.ariaHidden = "true";
    showMark(mark, message.name, message.author);
    const when = make("time", "faint", time.format(message.sentAt));
    when.dateTime = new Date(message.sentAt).toISOString();
    when.title = full.format(message.sentAt);
    const head = make("p", "who");
    head.append(make("strong", "", message.name), when);
    if (mine) head.append(make("span", "you", "you"));
    const body = make("div", "body");
    body.append(head, make("p", "words", message.text), this.#buttons(message, mine));
    item.append(mark, body);
    return item;
  }

  #buttons(message: Message, mine: boolean): HTMLElement {
    const row = make("div", "acts");
    const run = (work: Promise<void>): void => void work.catch(this.#actions.failed);
    if (mine) {
      row.append(
        button("Take back", "Take this message back", () => run(this.#actions.retract(message.id))),
      );
    } else if (this.#admin) {
      row.append(
        button("Remove", `Remove the message of ${message.name}`, () => {
          run(this.#actions.remove(message.id));
        }),
      );
    }
    return row;
  }

  /** Messages of one author shortly after one another stand under one name. */
  #arrange(): void {
    let before: Message | null = null;
    for (const child of this.#list.children) {
      const item = child as HTMLElement;
      const { message } = this.#shown.get(item.dataset.id ?? "")!;
      const together = before !== null && before.author === message.author &&
        before.name === message.name && message.sentAt - before.sentAt < TOGETHER_MS;
      item.toggleAttribute("data-together", together);
      before = message;
    }
    this.#silence.hidden = this.#shown.size > 0;
  }
}
