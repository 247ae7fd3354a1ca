import assert from "node:assert/strict";
import type { Principal } from "./contract.ts";
import { VerifiedTokens } from "./verified_tokens.ts";

const principal = (owner: string): Principal => ({ owner }) as unknown as Principal;
const window = { from: 100, until: 200 };

Deno.test("a verified token is believed in its time, and checked anew before and after it", () => {
  const tokens = new VerifiedTokens();
  tokens.add("a", principal("ann"), window);
  assert.equal(tokens.get("b", 150), null);
  assert.equal(tokens.get("a", 100)?.owner, "ann");
  assert.equal(tokens.get("a", 199)?.owner, "ann");
  assert.equal(tokens.get("a", 200), null);
  assert.equal(tokens.get("a", 150), null, "what has ended once is not believed again");
  tokens.add("a", principal("ann"), window);
  assert.equal(tokens.get("a", 99), null);
});

Deno.test("many tokens push out those not used for longest, and only those", () => {
  const tokens = new VerifiedTokens();
  const names = Array.from({ length: 10_000 }, (_, i) => `t${i}`);
  tokens.add("used", principal("ann"), window);
  for (const name of names) {
    tokens.add(name, principal("x"), window);
    assert.equal(tokens.get("used", 150)?.owner, "ann");
  }
  const left = names.filter((name) => tokens.get(name, 150) !== null);
  assert.ok(left.length > 100 && left.length < 9_000, `${left.length} are remembered`);
  assert.deepEqual(left, names.slice(-left.length));
});
