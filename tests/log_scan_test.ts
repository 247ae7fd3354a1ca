/**
 * A gateway that logs everything it can, used and misused over every surface: nothing of a key, ticket,
 * token or payload may be found in what it wrote.
 *
 * @module
 */
import assert from "node:assert/strict";
import { createHttpTransport, openSocketTransport, SYSTEM_OPS } from "../protocol/client.ts";
import { decodeValue, encodeValue } from "../protocol/codec/mod.ts";
import { makeServer } from "../protocol/testing/gateway.ts";
import { createServer } from "../runtime/deno/mod.ts";
import { NOTES_APP } from "../runtime/testing/notes_app.ts";
import { withNotes } from "../runtime/testing/notes_server.ts";
import { SecretScan } from "./secret_scan.ts";

const marker = "payload-marker-only-a-caller-knows";

function opOf(name: string): number {
  const route = NOTES_APP.routes.find((each) => each.name === name);
  assert.ok(route !== undefined, name);
  return route.op;
}

Deno.test("no key, ticket, token or payload appears in any output of a full run", async () => {
  await withNotes(async ({ server, database, log, another }) => {
    const scan = new SecretScan();
    for (const secret of database.secrets) scan.bytes("KONTRACT_SECRET", secret);
    const bodies: Uint8Array<ArrayBuffer>[] = [];
    const http = Deno.serve(
      { port: 0, hostname: "127.0.0.1", onListen: () => {} },
      (request, info) => server.fetch(request, info),
    );
    const url = `http://127.0.0.1:${http.addr.port}`;
    const { deriveServerKeys } = await import("../protocol/mod.ts");
    const { pins } = await deriveServerKeys(database.secrets);
    const recording: typeof fetch = (input, init) => {
      if (init?.body instanceof Uint8Array) bodies.push(new Uint8Array(init.body));
      return fetch(input, init);
    };
    const options = { url, pins, app: NOTES_APP.app, fetch: recording };
    const printed: string[] = [];
    const write = (...parts: unknown[]): void => void printed.push(parts.map(String).join(" "));
    const kept = { ...console };
    Object.assign(console, { log: write, info: write, warn: write, error: write, debug: write });
    try {
      for (const transport of [createHttpTransport(options), await openSocketTransport(options)]) {
        const anonymous = encodeValue(["anonymous", null]);
        const auth = { token: null, mutation: true };
        const session = decodeValue(await transport.call(SYSTEM_OPS.AUTH, anonymous, auth)) as {
          access: string;
          refresh: string;
        };
        scan.text("access token", session.access);
        scan.text("refresh token", session.refresh);
        const who = { token: session.access, mutation: true };
        const call = (name: string, ...args: unknown[]): Promise<unknown> =>
          transport.call(opOf(name), encodeValue(args), who).catch((error) => error);
        const id = crypto.randomUUID();
        await call("add", id, marker);
        await call("read", id);
        await call("read", marker);
        await call("add", id);
        await call("adminOnly");
        await transport.call(99_999, encodeValue([marker]), who).catch(() => {});
        await transport.call(opOf("who"), new TextEncoder().encode(marker), who).catch(() => {});
        const forged = `${session.access.slice(0, -4)}AAAA`;
        scan.text("forged token", forged);
        await transport.call(opOf("who"), encodeValue([]), { ...who, token: forged })
          .catch(() => {});
        await transport.call(SYSTEM_OPS.AUTH, encodeValue(["login", { password: marker }]), auth)
          .catch(() => {});
        transport.close();
      }
      // Bodies as they were, changed, and at a gateway that holds other epochs.
      const sealed = bodies.filter((body) => body[1] === 0x40);
      assert.ok(sealed.length > 5);
      for (const body of sealed) {
        scan.sealedBody(body);
        const headers = { "content-type": "application/raystream" };
        const changed = new Uint8Array(body);
        changed[changed.length - 1]! ^= 1;
        for (const each of [changed, body.slice(0, 60), body]) {
          await (await fetch(`${url}/raystream`, { method: "POST", headers, body: each })).body
            ?.cancel();
        }
        const request = new Request(`${url}/raystream`, { method: "POST", headers, body });
        await (await another().fetch(request)).body?.cancel();
      }
      const bearer = { authorization: `Bearer ${bodies[0]!.toBase64()} ${marker}` };
      for (const path of ["/rpc/add", "/rpc/read", "/rpc/nothing", "/auth/login"]) {
        const init = { method: "POST", headers: bearer, body: JSON.stringify([marker]) };
        await (await fetch(`${url}${path}`, init)).body?.cancel();
      }
    } finally {
      Object.assign(console, kept);
      await http.shutdown();
    }
    assert.ok(log.length > 10, `the log has only ${log.length} lines`);
    const output = [...log, ...printed].join("\n");
    scan.text("payload", marker);
    scan.assertNoneIn(output);
  });
});

Deno.test("what holds keys shows none of them where it is printed", async () => {
  const secret = crypto.getRandomValues(new Uint8Array(32));
  const text = secret.toBase64({ alphabet: "base64url", omitPadding: true });
  const env: Readonly<Record<string, string>> = {
    KONTRACT_SECRET: text,
    DATABASE_URL: "postgres://gateway:a-password-of-ours@127.0.0.1:1/none",
  };
  const app = createServer(NOTES_APP, { env: (name) => env[name], public: null });
  const ray = makeServer({ secrets: [secret] });
  const keys = await ray.keys();
  const sealed: Uint8Array[] = [];
  const transport = createHttpTransport({
    ...{ url: "http://gateway.test", app: "test-app", pins: keys.pins },
    fetch: (input, init) => {
      if (init?.body instanceof Uint8Array && init.body[1] === 0x40) sealed.push(init.body);
      return ray.handle(new Request(input, init), () => Promise.reject(new Error()));
    },
  });
  const who = { token: "a-token-of-ours", mutation: false };
  await assert.rejects(transport.call(opOf("who"), new Uint8Array(0), who));
  const socket = ray.socket({ send: () => {}, close: () => {} }, () => Promise.reject(new Error()));
  const scan = new SecretScan();
  scan.bytes("KONTRACT_SECRET", secret);
  scan.text("password", "a-password-of-ours");
  scan.text("token", who.token);
  scan.sealedBody(sealed[0]!);
  for (const each of [app, app.auth, app.tenants, ray, keys, transport, socket]) {
    // Numbers stand in columns.
    scan.assertNoneIn(Deno.inspect(each, { depth: 20, iterableLimit: 1e5 }).replace(/\s+/g, " "));
  }
  transport.close();
  await app.close();
});
