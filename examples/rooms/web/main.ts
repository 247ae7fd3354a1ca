/** The page: wires company, rooms, conversation and people to the generated client. */
import {
  client,
  closeRoom,
  history,
  listRooms,
  me,
  openRoom,
  post,
  removeMessage,
  retract,
} from "@/client";
import { PAGE } from "../src/limits.ts";
import type { Message, Room } from "../src/schema.ts";
import { type Caller, wireAccount } from "./account.ts";
import { Conversation } from "./conversation.ts";
import { element, reason, showMark, showProblem } from "./dom.ts";
import { PeopleHere } from "./people_here.ts";
import { RoomList } from "./room_list.ts";

const trouble = element("trouble", HTMLElement);
const text = element("text", HTMLTextAreaElement);
const send = element("composer", HTMLFormElement).querySelector("button")!;
const postProblem = element("post-problem", HTMLElement);
const earlier = element("earlier", HTMLButtonElement);

const rooms = new RoomList();
const people = new PeopleHere();
const conversation = new Conversation({
  retract,
  remove: removeMessage,
  failed: (problem) => showProblem(trouble, problem),
});
const account = wireAccount(() => void start());

let caller: Caller | null = null;
let following = new AbortController();

/* ---------- the company ---------- */

/** Company of the address; without one the page asks. */
const company = new URLSearchParams(location.search).get("company");

if (company === null || company === "") {
  element("door", HTMLElement).hidden = false;
  element("company-name", HTMLInputElement).focus();
} else {
  client.configure({ tenant: company });
  element("house", HTMLElement).hidden = false;
  client.auth.onChange((state) => {
    const known = caller === null || state.kind === "none" ||
      state.owner === caller.owner && state.anonymous === caller.guest;
    if (!known) void start(); // signed in or out, here or in another tab
  });
  void start();
}

element("company-form", HTMLFormElement).addEventListener("submit", (event) => {
  event.preventDefault();
  const name = element("company-name", HTMLInputElement).value.trim().toLowerCase();
  location.search = `?${new URLSearchParams({ company: name })}`;
});

/* ---------- beginning ---------- */

/** Begins anew as whoever is signed in now. */
async function start(): Promise<void> {
  following.abort();
  following = new AbortController();
  const { signal } = following; // aborted where another start comes before this one is done
  try {
    // Groups as they are stored now: `ctx.ugroups` would be those of when the session was opened.
    const [person, { ugroups }] = await Promise.all([me(), client.auth.me()]);
    const who = { ...person, admin: ugroups.includes("admin") };
    if (signal.aborted) return;
    caller = who;
    showProblem(trouble, null);
    showCaller(who);
    conversation.readBy(who.owner, who.admin);
    takeTheFloor(signal);
    followRooms(signal);
    followMessages(signal);
  } catch (problem) {
    if (!signal.aborted) showProblem(trouble, `Nobody is let in: ${reason(problem)}`);
  }
}

function showCaller(who: Caller): void {
  document.title = `Rooms · ${who.company}`;
  element("company", HTMLElement).textContent = who.company;
  showMark(element("company-mark", HTMLElement), who.company, who.company);
  element("my-name", HTMLElement).textContent = who.name;
  element("my-kind", HTMLElement).textContent = who.admin
    ? "administrator"
    : who.guest
    ? "guest"
    : "member";
  showMark(element("my-mark", HTMLElement), who.name, who.owner);
  account.show(who);
}

/* ---------- rooms ---------- */

/** The list as the server has it: what `listRooms` gives, and again whenever that has changed. */
function followRooms(signal: AbortSignal): void {
  let first = true;
  client.with({ signal }, () => client.live(listRooms)).listen({
    onValue(list) {
      rooms.replace(list);
      if (first || roomOfAddress()?.id !== rooms.current?.id) enterNamed();
      else showRoom(rooms.current);
      first = false;
    },
    onError: stopped,
  });
}

function roomOfAddress(): Room | null {
  return rooms.named(decodeURIComponent(location.hash.slice(1)));
}

/** Enters the room that the address names. */
function enterNamed(): void {
  const room = roomOfAddress();
  rooms.select(room);
  showRoom(room);
  people.enter(room?.id ?? null, caller?.owner ?? "");
  void loadMessages();
  showSide(false);
}

function showRoom(room: Room | null): void {
  element("room-name", HTMLElement).textContent = room?.name ?? "No room yet";
  element("room-purpose", HTMLElement).textContent = room?.purpose ?? "";
  element("conversation", HTMLElement).hidden = room === null;
  const closed = room?.closed === true;
  element("closed-note", HTMLElement).hidden = !closed;
  const toggle = element("close-room", HTMLButtonElement);
  toggle.hidden = room === null || caller?.admin !== true;
  toggle.textContent = closed ? "Open again" : "Close room";
  text.disabled = room === null || closed;
  send.disabled = text.disabled;
}

addEventListener("hashchange", enterNamed);

element("close-room", HTMLButtonElement).addEventListener("click", async () => {
  const room = rooms.current;
  if (room === null) return;
  try {
    const changed = await closeRoom(room.id, !room.closed);
    rooms.put(changed);
    showRoom(changed);
  } catch (problem) {
    showProblem(trouble, problem);
  }
});

/** On a narrow screen the rooms lie over the conversation until something else is asked for. */
function showSide(shown: boolean): void {
  document.body.toggleAttribute("data-side", shown);
  element("show-side", HTMLElement).ariaExpanded = String(shown);
}

element("show-side", HTMLButtonElement).addEventListener("click", (event) => {
  event.stopPropagation();
  showSide(true);
  element("rooms", HTMLElement).querySelector("a")?.focus();
});
addEventListener("click", ({ target }) => {
  if (!(target as Element).closest("#side, dialog")) showSide(false);
});
addEventListener("keydown", ({ key }) => {
  if (key === "Escape") showSide(false);
});

/* ---------- opening a room ---------- */

const roomDialog = element("room-dialog", HTMLDialogElement);
const roomProblem = element("room-problem", HTMLElement);

element("open-room", HTMLButtonElement).addEventListener("click", () => {
  if (caller?.guest !== false) {
    return account.ask("Sign up to open a room. Everything you said here stays yours.");
  }
  showProblem(roomProblem, null);
  roomDialog.showModal();
});
element("room-cancel", HTMLButtonElement).addEventListener("click", () => roomDialog.close());
element("room-form", HTMLFormElement).addEventListener("submit", async (event) => {
  event.preventDefault();
  const name = element("new-name", HTMLInputElement);
  const purpose = element("new-purpose", HTMLInputElement);
  showProblem(roomProblem, null);
  try {
    const room = await openRoom(name.value, purpose.value);
    rooms.put(room);
    (event.target as HTMLFormElement).reset();
    roomDialog.close();
    goTo(room.slug);
  } catch (problem) {
    showProblem(roomProblem, problem);
    name.focus();
  }
});

function goTo(slug: string): void {
  const hash = `#${encodeURIComponent(slug)}`;
  if (location.hash === hash) enterNamed();
  else location.hash = hash;
}

/* ---------- messages ---------- */

let loading: string | null = null;
const waiting: (() => void)[] = [];

/** Reads the newest page. What happens meanwhile is applied on top of it. */
async function loadMessages(): Promise<void> {
  const room = rooms.current?.id ?? null;
  loading = room;
  conversation.replace([]);
  earlier.hidden = true;
  if (room === null) return;
  try {
    const messages = await history(room);
    if (loading !== room) return; // another room was entered meanwhile
    conversation.replace(messages);
    earlier.hidden = messages.length < PAGE;
  } catch (problem) {
    if (loading === room) showProblem(trouble, problem);
  } finally {
    if (loading === room) {
      loading = null;
      for (const apply of waiting.splice(0)) apply();
    }
  }
}

function afterLoading(apply: () => void): void {
  if (loading === null) apply();
  else waiting.push(apply);
}

/** One stream for all rooms: it fills the open one and counts what is new in the others. */
function followMessages(signal: AbortSignal): void {
  client.subscribe<Message>("messages", {
    signal,
    onEvent(event) {
      if (isNew(event.type, event.data)) void loadMessages();
      else {
        afterLoading(() => {
          if (event.type === "delete" && event.key !== null) conversation.remove(event.key);
          else if (isRow(event.type, event.data)) {
            if (event.data.room === rooms.current?.id) conversation.add(event.data);
            else if (event.type === "insert") rooms.unread(event.data.room);
          }
        });
      }
    },
    onStatus(status) {
      if (signal.aborted) return;
      element("live", HTMLElement).dataset.status = status;
      element("live-text", HTMLElement).textContent = {
        connecting: "Connecting…",
        live: "Live",
        closed: "Not live",
      }[status];
    },
    onError: stopped,
  });
}

earlier.addEventListener("click", async () => {
  const room = rooms.current?.id;
  if (room === undefined) return;
  try {
    const messages = await history(room, conversation.oldest);
    if (room !== rooms.current?.id) return;
    conversation.addEarlier(messages);
    earlier.hidden = messages.length < PAGE;
  } catch (problem) {
    showProblem(trouble, problem);
  }
});

/** True where the stream stands and what the page holds must be read again. */
function isNew(type: string, data: unknown): boolean {
  return type === "ready" && (data as { resumed?: unknown } | null)?.resumed !== true;
}

function isRow<T>(type: string, data: T | null): data is T {
  return (type === "insert" || type === "update") && data !== null;
}

function stopped(problem: unknown): void {
  showProblem(trouble, `Live updates stopped: ${reason(problem)}`);
}

/* ---------- writing ---------- */

text.addEventListener("input", () => people.writes());
text.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  element("composer", HTMLFormElement).requestSubmit();
});

element("composer", HTMLFormElement).addEventListener("submit", async (event) => {
  event.preventDefault();
  const room = rooms.current;
  if (room === null || send.disabled) return;
  send.disabled = true;
  try {
    const message = await post(room.id, text.value);
    showProblem(postProblem, null);
    text.value = "";
    afterLoading(() => {
      if (room.id === rooms.current?.id) conversation.add(message);
    });
    people.sent();
  } catch (problem) {
    if (!slowDown(problem)) showProblem(postProblem, problem);
  } finally {
    if (postProblem.dataset.waiting === undefined) send.disabled = text.disabled;
    text.focus();
  }
});

/** Where the server says how long to wait, counts down. The text stays. */
function slowDown(problem: unknown): boolean {
  const { code, data } = Object(problem) as { code?: unknown; data?: { retryAfter?: number } };
  if (code !== "RATE_LIMITED" || data?.retryAfter === undefined) return false;
  const until = Date.now() + data.retryAfter;
  postProblem.dataset.waiting = "";
  const tick = (): void => {
    const seconds = Math.ceil((until - Date.now()) / 1000);
    showProblem(
      postProblem,
      seconds > 0 ? `Slow down a little: send again in ${seconds} s.` : null,
    );
    if (seconds > 0) return void setTimeout(tick, 250);
    delete postProblem.dataset.waiting;
    send.disabled = text.disabled;
  };
  tick();
  return true;
}

/* ---------- several windows, and one that nobody looks at ---------- */

// A live window holds three connections, and over HTTP/1.1 a browser grants six to all its windows
// together: the one that was looked at last has the floor, the others pause.
function takeTheFloor(signal: AbortSignal): void {
  const held = new Promise<void>((done) => signal.addEventListener("abort", () => done()));
  void navigator.locks?.request("rooms", { steal: true }, () => held).catch(() => {
    if (!signal.aborted) pause("Paused: another window is live");
  });
}

function pause(why: string): void {
  following.abort();
  people.pause();
  element("live", HTMLElement).dataset.status = "paused";
  element("live-text", HTMLElement).textContent = why;
}

addEventListener("focus", () => {
  if (caller !== null && following.signal.aborted) void start();
});

document.addEventListener("visibilitychange", () => {
  if (caller === null) return;
  if (!document.hidden) return void start();
  people.enter(null, caller.owner);
  pause("Paused");
});
