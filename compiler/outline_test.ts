/** An outline tells everything of a module that an app's declarations depend on, and no more. */
import assert from "node:assert/strict";
import ts from "typescript";
import { movedSpan, outlineOf } from "./outline.ts";

const BASE = `import { AppError, backend, env } from "@kontract/kontract";
import * as errors from "./errors.ts";
/** Reads. */
export const read = backend({ readOnly: true }, async (id: string): Promise<string> => {
  const user = await env.storage.users.get(id);
  return user?.name ?? "";
});
export const after = 1;
`;

function parsed(text: string): ts.SourceFile {
  return ts.createSourceFile("/a.ts", text, ts.ScriptTarget.ESNext, true);
}

const key = (text: string): string => outlineOf(parsed(text)).key;
const changed = (from: string, to: string): string => {
  assert.ok(BASE.includes(from), from);
  return BASE.replace(from, to);
};

Deno.test("an edit inside a function with a result type leaves the outline as it is", () => {
  for (
    const text of [
      changed(`?? ""`, `?? "nobody"`),
      changed("  return", "  console.log(user);\n\n  return"),
      changed("  return", "  if (user === null) throw new Error();\n  return"),
    ]
  ) assert.equal(key(text), key(BASE), text);
});

Deno.test("an edit that may matter to what an app declares changes the outline", () => {
  for (
    const text of [
      changed("Reads.", "Reads one."),
      changed("readOnly: true", "readOnly: false"),
      changed("id: string", "id: number"),
      changed("after = 1", "after = 2"),
      changed(": Promise<string>", ""),
      changed("  return", "  if (user === null) throw new errors.Gone();\n  return"),
      changed("  return", "  await import('./other.ts');\n  return"),
      changed("  return", "  backend({}, () => {});\n  return"),
      changed("  return", "  await env.storage.exec<{ id: string }>`select 1`;\n  return"),
    ]
  ) assert.notEqual(key(text), key(BASE), text);
  const gone = changed("  return", "  if (user === null) throw new errors.Gone();\n  return");
  assert.notEqual(key(gone), key(gone.replace("errors.Gone", "errors.Lost")));
});

Deno.test("places behind an edited body move with it, those before it stay", () => {
  const after = parsed(changed("  return", "  console.log(user);\n\n  return"));
  const move = (line: number): number =>
    movedSpan({ file: "a.ts", line, column: 14 }, parsed(BASE), after).line;
  assert.equal(move(4), 4);
  assert.equal(move(8), 10);
});
