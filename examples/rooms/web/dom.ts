/** Small helpers over the document. Whatever people wrote reaches it through `textContent` only. */

/** The page's element of this id and kind. */
export function element<T extends HTMLElement>(id: string, kind: new () => T): T {
  const found = document.getElementById(id);
  if (!(found instanceof kind)) throw new Error(`The page has no ${kind.name} '${id}'.`);
  return found;
}

/** A new element with a class and a text. */
export function make<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  className: string,
  text = "",
): HTMLElementTagNameMap[K] {
  const made = document.createElement(tag);
  made.className = className;
  made.textContent = text;
  return made;
}

/** A new button that says what it does. */
export function button(text: string, label: string, onClick: () => void): HTMLButtonElement {
  const made = make("button", "quiet", text);
  made.type = "button";
  made.ariaLabel = label;
  made.addEventListener("click", onClick);
  return made;
}

/** Two letters and a hue that stand for somebody, the same in every window. */
export function showMark(mark: HTMLElement, name: string, id: string): void {
  const words = name.split(/\s+/u).filter((word) => word !== "");
  const letters = words.length > 1 ? [words[0], words.at(-1)] : [words[0]];
  mark.textContent = letters.map((word) => [...word ?? "?"][0]).join("").toUpperCase();
  let hue = 0;
  for (const letter of id) hue = (hue * 31 + letter.codePointAt(0)!) % 360;
  mark.style.setProperty("--hue", String(hue));
}

/** Shows what went wrong, or nothing for null. */
export function showProblem(place: HTMLElement, problem: unknown): void {
  place.hidden = problem === null;
  place.textContent = problem === null ? "" : reason(problem);
}

/** A sentence for people. */
export function reason(problem: unknown): string {
  if (typeof problem === "string") return problem;
  return problem instanceof Error ? problem.message : "Something went wrong.";
}
