/**
 * What an app prints, changed on its way by whole lines, as they come.
 *
 * @module
 */

/** Characters of a line that is held until its end comes; of a longer one what there is is passed on. */
const MAX_LINE = 1 << 16;

/** Passes text on as `edit` has it, one or several whole lines at a time. */
export function editedLines(
  edit: (text: string) => string,
): TransformStream<Uint8Array, Uint8Array> {
  const decoder = new TextDecoder(), encoder = new TextEncoder();
  let rest = "";
  return new TransformStream({
    transform: (chunk, controller) => {
      const text = rest + decoder.decode(chunk, { stream: true });
      const begun = text.lastIndexOf("\n") + 1;
      const end = text.length - begun > MAX_LINE ? text.length : begun;
      rest = text.slice(end);
      if (end > 0) controller.enqueue(encoder.encode(edit(text.slice(0, end))));
    },
    flush: (controller) => {
      rest += decoder.decode();
      if (rest !== "") controller.enqueue(encoder.encode(edit(rest)));
    },
  });
}
