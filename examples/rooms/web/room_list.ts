/** The rooms beside the conversation, and which of them have something new. */
import type { Room } from "../src/schema.ts";
import { element, make } from "./dom.ts";

/** The list of rooms. */
export class RoomList {
  readonly #list = element("rooms", HTMLUListElement);
  readonly #rooms = new Map<string, Room>();
  readonly #unread = new Map<string, number>();
  #current: string | null = null;

  /** The room that is open, as it is now. */
  get current(): Room | null {
    return this.#current === null ? null : this.#rooms.get(this.#current) ?? null;
  }

  /** The room that the address names, or the first. */
  named(slug: string): Room | null {
    const rooms = [...this.#rooms.values()];
    return rooms.find((room) => room.slug === slug) ?? rooms[0] ?? null;
  }

  /** Opens this one. */
  select(room: Room | null): void {
    this.#current = room?.id ?? null;
    if (room !== null) this.#unread.delete(room.id);
    this.#show();
  }

  /** Shows exactly these. */
  replace(rooms: readonly Room[]): void {
    this.#rooms.clear();
    for (const room of rooms) this.#rooms.set(room.id, room);
    this.#show();
  }

  /** Adds or changes one. */
  put(room: Room): void {
    this.#rooms.set(room.id, room);
    this.#show();
  }

  /** Somebody said something in a room that is not open. */
  unread(room: string): void {
    this.#unread.set(room, (this.#unread.get(room) ?? 0) + 1);
    this.#show();
  }

  #show(): void {
    const rooms = [...this.#rooms.values()].sort((a, b) => a.openedAt - b.openedAt);
    this.#list.replaceChildren(...rooms.map((room) => this.#item(room)));
    element("no-rooms", HTMLElement).hidden = rooms.length > 0;
  }

  #item(room: Room): HTMLLIElement {
    const link = make("a", "room");
    link.href = `#${encodeURIComponent(room.slug)}`;
    link.dataset.id = room.id;
    if (room.id === this.#current) link.ariaCurrent = "page";
    link.toggleAttribute("data-closed", room.closed);
    link.append(make("span", "room-name", room.name));
    if (room.closed) link.append(make("span", "tag", "closed"));
    const unread = this.#unread.get(room.id) ?? 0;
    if (unread > 0) {
      const badge = make("span", "badge", String(unread));
      badge.ariaLabel = `${unread} new`;
      link.append(badge);
    }
    const item = document.createElement("li");
    item.append(link);
    return item;
  }
}
