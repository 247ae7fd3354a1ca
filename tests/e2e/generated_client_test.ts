/**
 * The generated client of a built app against the app: its own error classes by `instanceof`, from calls
 * and from streams, and results that are kept.
 *
 * @module
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { startTestApp } from "../../cli/test_app.ts";
import { openAppFolder } from "../../cli/dev/app_folder.ts";
import { buildApp } from "../../cli/dev/build_app.ts";
import { loadSecret } from "../../cli/dev/secret.ts";
import { parseSecrets } from "../../_internal/keys.ts";
import { makeApp } from "../../compiler/testing/app.ts";

const APP: Readonly<Record<string, string>> = {
  "kontract.json": `{ "name": "rooms" }\n`,
  "src/errors.ts": `import { AppError } from "@kontract/kontract";
export class RoomError<Code extends string, Data> extends AppError<Code, Data> {}
export class RoomFull extends RoomError<"ROOM_FULL", { room: string; left: number }> {
  constructor(room: string) {
    super("ROOM_FULL", "No seat is left: MARKER_MESSAGE.", { status: 409, data: { room, left: 0 } });
  }
}
`,
  "src/rooms.ts": `import { AppError, backend, env, NotFoundError } from "@kontract/kontract";
import { RoomFull } from "./errors.ts";
let asked = 0;
export class Rooms {
  @backend({ readOnly: true, cache: 600 })
  static async look(room: string): Promise<{ asked: number; note: unknown }> {
    return { asked: ++asked, note: await env.shared.get(room) };
  }
  @backend({})
  static async enter(room: string): Promise<void> {
    if (room === "full") throw new RoomFull(room);
    if (room === "odd") throw new AppError("OF_NO_CLASS");
    if (room === "none") throw new NotFoundError("There is no such room.");
    await env.shared.set(room, "entered");
  }
  @backend({ readOnly: true })
  static async *listen(room: string): AsyncGenerator<number, void, void> {
    yield await Promise.resolve(1);
    throw new RoomFull(room);
  }
}
`,
  "web/main.ts": `import { client, enter, listen, look, RoomFull } from "@/client";
export { client, enter, listen, look, RoomFull };
export async function fullRoom(work: () => Promise<unknown>): Promise<string> {
  try {
    await work();
  } catch (error) {
    // Both properties have their types.
    if (error instanceof RoomFull) return error.data.room.toUpperCase() + error.data.left.toFixed(1);
    throw error;
  }
  return "";
}
`,
};

interface Page {
  readonly client: {
    configure(settings: { url: string }): void;
    close(): void;
    call(name: string, args: unknown[]): Promise<unknown>;
  };
  enter(room: string): Promise<void>;
  look(room: string): Promise<{ asked: number; note: unknown }>;
  listen(room: string): AsyncGenerator<number, void, void>;
  fullRoom(work: () => Promise<unknown>): Promise<string>;
  readonly RoomFull: new () => Error & { readonly code: string; readonly status: number };
}

Deno.test("the generated client", { sanitizeOps: false, sanitizeResources: false }, async (t) => {
  await using app = await makeApp(APP, "rooms");
  const folder = await openAppFolder(app.root);
  await Deno.mkdir(folder.own, { recursive: true });
  await buildApp(folder, parseSecrets(await loadSecret(folder)), ["deno"], { minify: true });
  const client = await app.read("dist/client/connection.js");
  assert.doesNotMatch(client, /MARKER/, "an error's constructor stays on the server");
  await using running = await startTestApp({ folder: app.root });
  const page: Page = await import(`file://${join(app.root, "dist/public/main.js")}`);
  page.client.configure({ url: running.url });

  await t.step("a call rejects with the app's own class, its data typed", async () => {
    assert.equal(await page.fullRoom(() => page.enter("full")), "FULL0.0");
    const error = await page.enter("full").catch((one) => one);
    assert.ok(error instanceof page.RoomFull);
    assert.deepEqual([error.name, error.code, error.status], ["RoomFull", "ROOM_FULL", 409]);
    const other = await page.enter("none").catch((one) => one);
    assert.deepEqual([other.code, other instanceof page.RoomFull], ["NOT_FOUND", false]);
  });

  await t.step("a minifier renames no error", async () => {
    const names: string[] = [];
    for (const room of ["full", "none", "odd", 1 as unknown as string]) {
      names.push(await page.enter(room).catch((error) => error.name));
    }
    assert.deepEqual(names, ["RoomFull", "NotFoundError", "AppError", "ValidationError"]);
  });

  await t.step("a stream that breaks off rejects with it too", async () => {
    const seen: number[] = [];
    const listening = async (): Promise<void> => {
      for await (const one of page.listen("stream")) seen.push(one);
    };
    assert.equal(await page.fullRoom(listening), "STREAM0.0");
    assert.deepEqual(seen, [1]);
  });

  await t.step("a result is kept until this client writes", async () => {
    const first = await page.look("a");
    assert.deepEqual(await page.look("a"), first);
    await page.enter("a");
    assert.deepEqual(await page.look("a"), { asked: first.asked + 1, note: "entered" });
  });

  await t.step("nor one of the client's own", async () => {
    page.client.configure({ url: "http://127.0.0.1:9" });
    const lost = await page.enter("a").catch((error) => error);
    assert.deepEqual([lost.name, lost.code], ["KontractError", "NETWORK"]);
  });
  page.client.close();
});
