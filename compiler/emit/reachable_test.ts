import assert from "node:assert/strict";
import type { Shape, ShapeTable } from "../../_internal/shape.ts";
import { Random } from "../../_internal/testing/random.ts";
import { holdsFile, reachableTypes } from "./reachable.ts";

const ref = (name: string): Shape => ({ kind: "ref", name });
const object = (...shapes: Shape[]): Shape => ({
  kind: "object",
  fields: shapes.map((shape, id) => ({ name: `f${id}`, id, shape, optional: false })),
});

Deno.test("a file is found through named types, however they refer to each other", () => {
  const random = new Random(9);
  let holding = 0;
  for (let round = 0; round < 300; round++) {
    const names = Array.from({ length: 6 }, (_, i) => `T${i}`);
    const types: ShapeTable = Object.fromEntries(names.map((name) => [
      name,
      object(
        ...random.list(3, () => ref(random.pick(names))),
        ...random.oneIn(8) ? [{ kind: "file", of: "File" } as const] : [],
      ),
    ]));
    for (const name of names) {
      const shape: Shape = { kind: "array", element: ref(name) };
      const within = JSON.stringify(reachableTypes([shape], types)).includes('"file"');
      if (within) holding++;
      assert.equal(holdsFile(shape, types), within, JSON.stringify(types));
    }
  }
  assert.ok(holding > 100, `${holding}`);
  assert.equal(holdsFile({ kind: "set", element: { kind: "file", of: "Blob" } }, {}), true);
  assert.equal(holdsFile(ref("Nowhere"), {}), false);
});
