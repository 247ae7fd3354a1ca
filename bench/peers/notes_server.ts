/**
 * The notes app of the tests on Deno, in a process of its own. For benches only.
 *
 * @module
 */
import { createServer } from "../../runtime/deno/mod.ts";
import { NOTES_APP } from "../../runtime/testing/notes_app.ts";

const server = createServer(NOTES_APP, { public: null, logSink: () => {} });
Deno.serve({
  hostname: "127.0.0.1",
  port: Number(Deno.env.get("PORT")),
  onListen: () => console.log("ready"),
}, (request, info) => server.fetch(request, info));
