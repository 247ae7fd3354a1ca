/** Who is in the room: told by the topic, corrected by every beat, and gone where neither speaks. */
import { beat, client, followRoom, leave } from "@/client";
import { AWAY_MS, BEAT_MS } from "../src/limits.ts";
import type { PresenceNews } from "../src/presence.ts";
import { element, make, showMark } from "./dom.ts";

interface Seen {
  readonly name: string;
  readonly typing: boolean;
  readonly until: number;
}

/** The list of people beside the conversation. */
export class PeopleHere {
  readonly #list = element("people", HTMLUListElement);
  readonly #typing = element("typing", HTMLElement);
  readonly #seen = new Map<string, Seen>();
  #room: string | null = null;
  #owner = "";
  #ended = new AbortController();
  #wroteAt = 0;
  #saidTyping = false;

  constructor() {
    setInterval(() => this.#show(), 1_000);
    setInterval(() => this.#beat(), BEAT_MS);
  }

  /** Enters a room as `owner`, leaving the one before; null leaves only. */
  enter(room: string | null, owner: string): void {
    this.#ended.abort();
    this.#ended = new AbortController();
    if (this.#room !== null && this.#room !== room) void leave(this.#room).catch(() => {});
    this.#room = room;
    this.#owner = owner;
    this.#seen.clear();
    this.#show();
    if (room === null) return;
    client.subscribe<PresenceNews>(() => followRoom(room), {
      signal: this.#ended.signal,
      onEvent: (event) => {
        if (event.type === "ready" || event.type === "reset") this.#beat();
        else if (event.data !== null) this.#hear(event.data);
      },
      onError: () => {}, // the beat still tells, only later
    });
  }

  /** Stops listening and speaking, and leaves it to another window to be here. */
  pause(): void {
    this.#ended.abort();
    this.#room = null;
  }

  /** The caller has pressed a key. */
  writes(): void {
    this.#wroteAt = Date.now();
    if (!this.#saidTyping) this.#beat();
  }

  /** The caller has sent it. */
  sent(): void {
    this.#wroteAt = 0;
    this.#beat();
  }

  #beat(): void {
    const room = this.#room;
    if (room === null) return;
    const typing = Date.now() - this.#wroteAt < BEAT_MS;
    this.#saidTyping = typing;
    void beat(room, typing).then((people) => {
      if (this.#room !== room) return;
      this.#seen.clear();
      const now = Date.now();
      for (const { owner, name, typing, left } of people) {
        this.#seen.set(owner, { name, typing, until: now + left });
      }
      this.#show();
    }).catch(() => {}); // the connection's state is shown elsewhere
  }

  #hear({ owner, name, typing, here }: PresenceNews): void {
    if (here) this.#seen.set(owner, { name, typing, until: Date.now() + AWAY_MS });
    else this.#seen.delete(owner);
    this.#show();
  }

  #show(): void {
    const now = Date.now();
    for (const [owner, { until }] of this.#seen) if (until <= now) this.#seen.delete(owner);
    const people = [...this.#seen].sort(([, a], [, b]) => a.name.localeCompare(b.name));
    const print = JSON.stringify(people.map(([owner, { name, typing }]) => [owner, name, typing]));
    if (this.#list.dataset.print === print) return;
    this.#list.dataset.print = print;
    this.#list.replaceChildren(...people.map(([owner, seen]) => this.#item(owner, seen)));
    element("people-count", HTMLElement).textContent = people.length === 0
      ? ""
      : String(people.length);
    const writers = people.filter(([owner, { typing }]) => typing && owner !== this.#owner)
      .map(([, { name }]) => name);
    this.#typing.textContent = writers.length === 0
      ? ""
      : writers.length === 1
      ? `${writers[0]} is writing…`
      : `${writers.length} people are writing…`;
  }

  #item(owner: string, { name, typing }: Seen): HTMLLIElement {
    const item = make("li", "person");
    item.dataset.owner = owner;
    item.toggleAttribute("data-typing", typing);
    const mark = make("span", "mark");
    mark.ariaHidden = "true";
    showMark(mark, name, owner);
    item.append(mark, make("span", "person-name", name));
    if (owner === this.#owner) item.append(make("span", "you", "you"));
    return item;
  }
}
