import assert from "node:assert/strict";
import { RouteTable } from "./routes.ts";
import { NOTES_APP } from "./testing/notes_app.ts";

Deno.test("a build whose routes share a name or a number does not start", () => {
  const [first, second] = NOTES_APP.routes;
  for (const twin of [{ ...second!, name: first!.name, op: 9999 }, { ...second!, op: first!.op }]) {
    const routes = [first!, twin];
    assert.throws(() => new RouteTable({ ...NOTES_APP, routes }), { code: "CONFIG" });
  }
});

Deno.test("a build that lacks a route's code says INTERNAL, and what is missing in the cause", async () => {
  const [route] = NOTES_APP.routes;
  const table = new RouteTable({ ...NOTES_APP, modules: [() => Promise.resolve({ routes: {} })] });
  const lacks = (what: RegExp) => (error: Error): boolean =>
    (error as { code?: string }).code === "INTERNAL" && what.test(String(error.cause));
  await assert.rejects(table.code(route!), lacks(/lacks the route 'add'/));
  await assert.rejects(table.code({ ...route!, name: "constructor" }), lacks(/'constructor'/));
  await assert.rejects(table.code({ ...route!, module: 7 }), lacks(/no chunk 7/));
});

Deno.test("a chunk that could not be loaded is tried again by the next call", async () => {
  let tries = 0;
  const load = NOTES_APP.modules[0]!;
  const modules = [
    () => ++tries === 1 ? Promise.reject(new Error("disk")) : load(),
  ];
  const table = new RouteTable({ ...NOTES_APP, modules });
  const [route] = NOTES_APP.routes;
  await assert.rejects(table.code(route!), /disk/);
  assert.equal(typeof (await table.code(route!)).invoke, "function");
  await table.code(route!);
  assert.equal(tries, 2);
});
