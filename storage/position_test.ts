import assert from "node:assert/strict";
import { earlierPosition, positionOf } from "./position.ts";

Deno.test("of two snapshots the earlier is the one that shows less", () => {
  // In the order in which one server would take them.
  const snapshots = ["8:9:8", "9:9:", "9:12:9,10,11", "9:12:9,11", "9:12:9", "12:12:", "12:100:12"];
  const positions = snapshots.map((snapshot) => positionOf("i.1", snapshot));
  for (const [n, earlier] of positions.entries()) {
    for (const later of positions.slice(n)) {
      assert.equal(earlierPosition(earlier, later), earlier);
      assert.equal(earlierPosition(later, earlier), earlier);
    }
  }
});
