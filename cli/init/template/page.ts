/**
 * The front end of a new app.
 *
 * @module
 */

/** `web/index.html` */
export function page(name: string): string {
  return `<!DOCTYPE html>
<html lang="en">
  <head>
    <meta charset="utf-8" />
    <meta name="viewport" content="width=device-width, initial-scale=1" />
    <meta name="color-scheme" content="light dark" />
    <title>${name}</title>
    <link rel="icon" href="data:," />
    <link rel="stylesheet" href="style.css" />
    <script type="module" src="main.ts"></script>
  </head>
  <body>
    <main>
      <h1>${name}</h1>
      <form id="add">
        <input
          id="text"
          aria-label="New note"
          placeholder="What is on your mind?"
          maxlength="500"
          autocomplete="off"
          required
        />
        <button>Add</button>
      </form>
      <p id="problem" role="alert" hidden></p>
      <ul id="notes"></ul>
      <p id="empty" hidden>No notes yet.</p>
    </main>
  </body>
</html>
`;
}

/** `web/main.ts` */
export const SCRIPT = `import { addNote, client, listNotes, removeNote } from "@/client";
import type { Note } from "../src/schema.ts";

function element<T extends HTMLElement>(id: string, kind: new () => T): T {
  const found = document.getElementById(id);
  if (found instanceof kind) return found;
  throw new Error(\`The page has no \${kind.name} '\${id}'.\`);
}

const form = element("add", HTMLFormElement);
const input = element("text", HTMLInputElement);
const list = element("notes", HTMLUListElement);
const empty = element("empty", HTMLElement);
const problem = element("problem", HTMLElement);

/** Does something and shows why it failed, where it does. */
async function attempt(action: () => Promise<void>): Promise<void> {
  try {
    await action();
    problem.hidden = true;
  } catch (error) {
    problem.textContent = error instanceof Error
      ? error.message
      : String(error);
    problem.hidden = false;
  }
}

function item(note: Note): HTMLLIElement {
  const text = document.createElement("span");
  text.textContent = note.text;
  const button = document.createElement("button");
  button.textContent = "×";
  button.ariaLabel = "Remove";
  button.addEventListener("click", () => {
    attempt(() => removeNote(note.id));
  });
  const line = document.createElement("li");
  line.append(text, button);
  return line;
}

async function show(): Promise<void> {
  const notes = await listNotes();
  list.replaceChildren(...notes.map(item));
  empty.hidden = notes.length > 0;
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  attempt(async () => {
    await addNote(input.value);
    form.reset();
  });
});

// The first event says that the line is open, the others what has changed,
// here or in another window.
client.subscribe("notes", {
  onEvent: () => attempt(show),
  onError: (error) => attempt(() => Promise.reject(error)),
});
`;

/** `web/style.css` */
export const STYLE = `:root {
  color-scheme: light dark;
  --paper: light-dark(#fffdf8, #1b1a18);
  --ink: light-dark(#2b2822, #ece7dc);
  --line: light-dark(#e2dccd, #3a3731);
  --accent: light-dark(#3557d6, #9db1ff);
}

* {
  box-sizing: border-box;
}

body {
  margin: 0;
  padding: clamp(1rem, 6vw, 5rem) 1rem;
  font: 1.05rem/1.6 system-ui, sans-serif;
  color: var(--ink);
  background: var(--paper);
}

main {
  max-width: 34rem;
  margin-inline: auto;
}

form {
  display: flex;
  gap: 0.5rem;
}

input,
button {
  padding: 0.55rem 0.9rem;
  font: inherit;
  color: inherit;
  background: none;
  border: 1px solid var(--line);
  border-radius: 0.5rem;
}

input {
  flex: 1;
  min-width: 0;
}

form button {
  color: var(--paper);
  background: var(--accent);
  border-color: transparent;
}

:is(input, button):focus-visible {
  outline: 2px solid var(--accent);
  outline-offset: 2px;
}

ul {
  margin: 1.5rem 0;
  padding: 0;
  list-style: none;
}

li {
  display: flex;
  align-items: baseline;
  gap: 0.75rem;
  padding: 0.5rem 0;
  border-bottom: 1px solid var(--line);
}

li span {
  flex: 1;
  min-width: 0;
  overflow-wrap: anywhere;
}

li button {
  padding: 0 0.6rem;
  border-color: transparent;
}

#problem {
  color: light-dark(#b3261e, #f2a39d);
}

#empty {
  opacity: 0.7;
}
`;
