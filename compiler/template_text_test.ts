/** Template literal types go into patterns and come back as text. */
import assert from "node:assert/strict";
import { escapedText, TEMPLATE_PARTS, templateText } from "./template_text.ts";

Deno.test("what a template says comes back as it was, whatever letters it has", () => {
  for (const text of ["", "a/b", "`${x}`", "\\n\n\r", "$", "^.*+?()[]{}|$", "-?\\d+", "é✓"]) {
    // A template without places is its own value.
    assert.equal(new Function(`return ${templateText(`^${escapedText(text)}$`)}`)(), text);
  }
  const { string, number, bigint } = TEMPLATE_PARTS;
  assert.equal(
    templateText(`^${bigint}-${number}px${string}$`),
    "`${bigint}-${number}px${string}`",
  );
});

Deno.test("a pattern that no template says is a string", () => {
  assert.equal(templateText("^(?:a|b)$"), "string");
});
