/**
 * `deno task bench <name> [argument …]`: runs one bench of this folder in a process of its own; without a
 * name, lists them.
 *
 * @module
 */

import { smallHeap } from "../cli/process/small_heap.ts";

/** Benches by name: file and what it compares. */
const BENCHES: Readonly<Record<string, readonly [file: string, summary: string]>> = {
  codec: ["codec.ts", "generated codecs against JSON and npm flatbuffers, in Deno"],
  compiler: ["compiler.ts", "builds and rebuilds of 1,000 routes beside TypeScript alone"],
  edit_served: ["edit_served.ts", "from an edit to its answer through the dev server"],
  cold: ["cold.ts", "time to the first answer, lazy chunks against eager ones"],
  codec_workerd: ["codec_workerd.ts", "the same in workerd"],
  followers: ["followers.ts", "from a commit to the last of its followers, on both hosts"],
  idle_sockets: ["idle_sockets.ts", "memory of idle raystream sockets at one gateway"],
  middleware: ["middleware.ts", "inlined middleware against a chain of closures"],
  password: ["password.ts", "password hashing"],
  storage: ["storage.ts", "storage against statements written by hand with the same driver"],
  tenants: ["tenants.ts", "a call in a tenant against one in main; memory of many tenants"],
  types: ["types.ts", "TypeScript on an app of 3,000 routes, beside plain functions and tRPC"],
  peers: ["peers.ts", "whole calls beside Hono + postgres.js and tRPC + Drizzle"],
  raystream: ["raystream.ts", "sealed calls against plain JSON over the same transport"],
};

const [name = "", ...rest] = Deno.args;
const bench = BENCHES[name];
if (bench === undefined) {
  for (const [each, [, summary]] of Object.entries(BENCHES)) {
    console.log(`deno task bench ${each.padEnd(14)} ${summary}`);
  }
  Deno.exit(name === "" ? 0 : 2);
}
const file = new URL(bench[0], import.meta.url).href;
// As `kontract dev` runs: what builds again and again has a small heap.
const flags = name === "compiler" ? smallHeap() : [];
const args = ["run", "-A", ...flags, file, ...rest];
const child = new Deno.Command(Deno.execPath(), { args }).spawn();
Deno.exit((await child.status).code);
