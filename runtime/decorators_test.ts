/** Decorated sources run as they are: in tests of an app, and wherever its server code is imported unbuilt. */
import assert from "node:assert/strict";
import { backend, index, perm, primkey, table } from "./decorators.ts";

Deno.test("decorators leave classes, fields and functions as they were", async () => {
  @table("notes", { rows: "owner" })
  @index(["title", "size"], { unique: true })
  class Note {
    @primkey
    id!: string;
    @index({ unique: true })
    title = "none";
    @perm(4)
    size = 1;
  }
  class Notes {
    @backend({ readOnly: true })
    static double(n: number): Promise<number> {
      return Promise.resolve(2 * n);
    }
  }
  assert.deepEqual({ ...new Note() }, { id: undefined, title: "none", size: 1 });
  assert.equal(await Notes.double(4), 8);
  const triple = (n: number): number => 3 * n;
  assert.equal(backend({ readOnly: true }, triple), triple);
});

Deno.test("a server module that reached a browser says so, and what to do", async () => {
  // The globals of a page: what a bundler's output would find there.
  const page = `Object.assign(globalThis, { document: {} });
    delete globalThis.Deno;
    delete globalThis.process;
    const { backend } = await import(${JSON.stringify(import.meta.resolve("./decorators.ts"))});
    try {
      backend({});
      postMessage("ran");
    } catch (error) {
      postMessage(error.code + ": " + error.message);
    }`;
  const url = URL.createObjectURL(new Blob([page], { type: "text/javascript" }));
  const worker = new Worker(url, { type: "module" });
  const said = await new Promise((resolve) => worker.onmessage = ({ data }) => resolve(data));
  worker.terminate();
  URL.revokeObjectURL(url);
  assert.match(String(said), /^CONFIG: .*'@\/client'/);
});
