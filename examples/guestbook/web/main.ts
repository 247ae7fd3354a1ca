/** The page: wires form, list, live updates and the keeper's dialog to the generated client. */
import { claim, client, edit, list, remove, removeAny, sign, whoami } from "@/client";
import { MESSAGE_LIMIT } from "../src/limits.ts";
import type { Entry } from "../src/schema.ts";
import { Book } from "./book.ts";

const NAME_KEY = "guestbook/name";

function element<T extends HTMLElement>(id: string, kind: new () => T): T {
  const found = document.getElementById(id);
  if (!(found instanceof kind)) throw new Error(`The page has no ${kind.name} '${id}'.`);
  return found;
}

const form = element("sign", HTMLFormElement);
const nameInput = element("name", HTMLInputElement);
const messageInput = element("message", HTMLTextAreaElement);
const live = element("live", HTMLElement);
const older = element("older", HTMLButtonElement);
const trouble = element("trouble", HTMLElement);
const dialog = element("keeper-dialog", HTMLDialogElement);

let me = { owner: "", keeper: false };

const book = new Book(element("entries", HTMLOListElement), {
  async edit(id, message) {
    book.put(await edit(id, message));
  },
  async remove(id) {
    await (isMine(id) ? remove(id) : removeAny(id));
    book.remove(id);
    showSize();
  },
});
const mine = new Set<string>();

function isMine(id: string): boolean {
  return mine.has(id);
}

function note(entry: Entry): void {
  if (entry.author === me.owner) mine.add(entry.id);
}

/* ---------- reading ---------- */

let loading: Promise<void> | null = null;
const waiting: (() => void)[] = [];

/** Reads the newest page. What happens meanwhile is applied on top of it. */
async function load(): Promise<void> {
  const [who, entries] = await Promise.all([whoami(), list()]);
  me = who;
  entries.forEach(note);
  book.readBy(me.owner, me.keeper);
  book.replace(entries);
  older.hidden = entries.length < 100;
  trouble.hidden = true;
  element("skeleton", HTMLElement).hidden = true;
  showKeeper();
}

function reload(): void {
  loading = load().catch((error: unknown) => {
    trouble.textContent = `The book does not open: ${reason(error)}`;
    trouble.hidden = false;
  }).finally(() => {
    loading = null;
    for (const apply of waiting.splice(0)) apply();
    showSize();
  });
}

/** Runs now, or after the page that is being read. */
function afterLoading(apply: () => void): void {
  if (loading === null) apply();
  else waiting.push(apply);
}

client.subscribe<Entry>("entries", {
  onEvent(event) {
    if (event.type === "ready") {
      const resumed = (event.data as { resumed?: boolean } | null)?.resumed === true;
      if (!resumed) reload();
      return;
    }
    afterLoading(() => {
      if (event.type === "delete" && event.key !== null) book.remove(event.key);
      else if (event.data !== null && "message" in event.data) {
        note(event.data);
        if (book.put(event.data)) {
          book.highlight(event.data.id);
          if (!isMine(event.data.id)) say(`${event.data.name} signed the book.`);
        }
      }
      showSize();
    });
  },
  onStatus(status) {
    live.dataset.status = status;
    element("live-text", HTMLElement).textContent = {
      connecting: "Connecting…",
      live: "Live",
      closed: "Not live",
    }[status];
  },
  onError(error) {
    trouble.textContent = `Live updates stopped: ${error.message}`;
    trouble.hidden = false;
  },
});

older.addEventListener("click", async () => {
  older.disabled = true;
  try {
    const entries = await list(book.oldest);
    entries.forEach(note);
    for (const entry of entries) book.put(entry);
    older.hidden = entries.length < 100;
  } catch (error) {
    trouble.textContent = reason(error);
    trouble.hidden = false;
  } finally {
    older.disabled = false;
    showSize();
  }
});

function showSize(): void {
  const size = book.size;
  element("count", HTMLElement).textContent = size === 0
    ? ""
    : `· ${size}${older.hidden ? "" : "+"}`;
  element("empty", HTMLElement).hidden = size > 0 || !trouble.hidden ||
    !element("skeleton", HTMLElement).hidden;
}

/** For screen readers: what sighted readers see appear. */
function say(words: string): void {
  element("spoken", HTMLElement).textContent = words;
}

setInterval(() => book.tick(), 30_000);

/* ---------- writing ---------- */

nameInput.value = remembered();
messageInput.addEventListener("input", showLeft);
messageInput.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
});

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  clearProblems();
  const submit = form.querySelector("button")!;
  submit.disabled = true;
  try {
    const entry = await sign(nameInput.value, messageInput.value);
    note(entry);
    if (book.put(entry)) book.highlight(entry.id);
    showSize();
    remember(entry.name);
    messageInput.value = "";
    showLeft();
    say("Your entry is in the book.");
  } catch (error) {
    showProblem(error);
  } finally {
    submit.disabled = false;
  }
});

function showProblem(error: unknown): void {
  const field = fieldOf(error);
  const input = field === "name" ? nameInput : field === "message" ? messageInput : null;
  const place = element(input === null ? "form-problem" : `${field}-problem`, HTMLElement);
  place.textContent = reason(error);
  place.hidden = false;
  input?.setAttribute("aria-invalid", "true");
  input?.focus();
}

function fieldOf(error: unknown): string {
  const data = (error as { data?: unknown } | null)?.data;
  return String((data as { field?: unknown } | null)?.field ?? "");
}

function clearProblems(): void {
  for (const place of form.querySelectorAll<HTMLElement>(".problem")) place.hidden = true;
  for (const input of [nameInput, messageInput]) input.removeAttribute("aria-invalid");
}

function showLeft(): void {
  const left = MESSAGE_LIMIT - messageInput.value.length;
  element("message-left", HTMLElement).textContent = left < 120 ? `${left} characters left` : "";
}

function reason(error: unknown): string {
  return error instanceof Error ? error.message : "Something went wrong.";
}

function remembered(): string {
  try {
    return localStorage.getItem(NAME_KEY) ?? "";
  } catch {
    return ""; // the browser may not store
  }
}

function remember(name: string): void {
  try {
    localStorage.setItem(NAME_KEY, name);
  } catch {
    // Then it is asked again next time.
  }
}

/* ---------- the keeper ---------- */

function showKeeper(): void {
  element("keeper", HTMLElement).hidden = me.keeper;
  if (me.keeper) {
    element("identity", HTMLElement).textContent =
      "You keep this book: you may remove any entry, and change your own.";
  }
}

element("keeper", HTMLButtonElement).addEventListener("click", () => dialog.showModal());
element("keeper-cancel", HTMLButtonElement).addEventListener("click", () => dialog.close());
element("keeper-form", HTMLFormElement).addEventListener("submit", async (event) => {
  event.preventDefault();
  const code = element("code", HTMLInputElement);
  const problem = element("code-problem", HTMLElement);
  problem.hidden = true;
  try {
    await claim(code.value);
    code.value = "";
    dialog.close();
    reload();
  } catch (error) {
    problem.textContent = reason(error);
    problem.hidden = false;
    code.select();
  }
});
