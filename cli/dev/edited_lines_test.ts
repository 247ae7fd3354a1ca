import assert from "node:assert/strict";
import { editedLines } from "./edited_lines.ts";

/** What becomes of `pieces` where each line is put into brackets. */
async function bracketed(...pieces: readonly (string | Uint8Array)[]): Promise<string> {
  const bytes = pieces.map((piece) =>
    typeof piece === "string" ? new TextEncoder().encode(piece) : piece
  );
  const lines = editedLines((text) => text.replaceAll(/^[^\n]+$/gm, "[$&]"));
  return await new Response(ReadableStream.from(bytes).pipeThrough(lines)).text();
}

Deno.test("lines are edited whole, however they are cut and however many come at once", async () => {
  assert.equal(await bracketed("a", "b\nc", "\n\nd"), "[ab]\n[c]\n\n[d]");
  const many = "x".repeat(99) + "\n";
  const shown = await bracketed(many.repeat(1000) + "be", "gun\n");
  assert.equal(shown, `[${many.trim()}]\n`.repeat(1000) + "[begun]\n");
});

Deno.test("a line that has no end for long is passed on before it ends", async () => {
  const long = "x".repeat(70_000);
  assert.equal(await bracketed(long, "y\nz\n"), `[${long}][y]\n[z]\n`);
});

Deno.test("what ends in the middle of a letter says so", async () => {
  const [first] = new TextEncoder().encode("é");
  assert.equal(await bracketed("a\nb", Uint8Array.of(first!)), "[a]\n[b\ufffd]");
  assert.equal(await bracketed("a\n", Uint8Array.of(first!)), "[a]\n[\ufffd]");
});
