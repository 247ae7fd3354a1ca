import assert from "node:assert/strict";
import { Lazy } from "./lazy.ts";

Deno.test("who asks first loads it, and all share one part", async () => {
  let loads = 0, made = 0;
  const part = new Lazy(() => {
    loads++;
    return Promise.resolve(() => ({ number: ++made }));
  });
  assert.equal(part.loaded, undefined);
  const [one, other] = await Promise.all([part.get(), part.get()]);
  assert.equal(one, other);
  assert.equal(part.loaded, one);
  assert.equal(await part.get(), one);
  assert.deepEqual([loads, made], [2, 1], "two at once share no promise");
});

Deno.test("after a failure the next one to ask tries again", async () => {
  let tries = 0;
  const part = new Lazy(() =>
    ++tries === 1 ? Promise.reject(new Error("not now")) : Promise.resolve(() => ({}))
  );
  await assert.rejects(part.get(), /not now/);
  assert.deepEqual(await part.get(), {});
});
