import assert from "node:assert/strict";
import { randomBytes } from "./bytes.ts";
import { createHttpTransport } from "./client.ts";
import { loadProvider } from "./crypto/select.ts";
import { verifyEd25519 } from "./crypto/noble_dh.ts";
import {
  CLOCK_TOLERANCE,
  generateRoot,
  type KeySet,
  pinsOf,
  signKeySet,
  verifyKeySet,
} from "./key_set.ts";
import { KEY_SET_PATH } from "./paths.ts";
import { deriveServerKeys } from "./server_keys.ts";
import { createSocketTransport } from "./socket_transport.ts";
import { serveGateway, type TestGateway } from "./testing/gateway.ts";
import { echoDispatch, TripOp } from "./testing/round_trips.ts";
import type { SerialMemory } from "./transport.ts";

const DAY = 86_400;
const now = Math.floor(Date.now() / 1000);
const provider = await loadProvider();
const root = await generateRoot();

async function setOf(
  secrets: readonly Uint8Array[],
  serial: number,
  lifetime = [now - 60, now + DAY],
): Promise<KeySet> {
  const { keys } = await deriveServerKeys(secrets);
  const [not_before = 0, not_after = 0] = lifetime;
  return {
    serial,
    keys: keys.map(({ kid, pin }) => ({ kid, public: pin, not_before, not_after })),
  };
}

/** A gateway of `secret` that shows whatever `set` is now. */
async function gatewayOf(secret: Uint8Array, shown: { set: string }): Promise<TestGateway> {
  return await serveGateway(echoDispatch, { secrets: [secret] }, (request, next) => {
    if (new URL(request.url).pathname !== KEY_SET_PATH) return next(request);
    return Promise.resolve(new Response(shown.set));
  });
}

function memory(): SerialMemory & { serial: number } {
  const kept = {
    serial: 0,
    get: () => kept.serial,
    set: (_pin: string, serial: number) => void (kept.serial = serial),
  };
  return kept;
}

async function callThrough(gateway: TestGateway, pin: string, serials: SerialMemory) {
  for (const create of [createHttpTransport, createSocketTransport]) {
    const { url } = gateway;
    const transport = create({ url, app: "test-app", pins: [pin], serials });
    try {
      const options = { token: null, mutation: false };
      await transport.call(TripOp.ECHO, new Uint8Array(5), options);
    } finally {
      transport.close();
    }
  }
}

Deno.test("a client that pins a root follows the gateway to keys it has never seen", async () => {
  const serials = memory();
  const { pin, privateKey } = await generateRoot();
  for (let serial = 1; serial <= 3; serial++) {
    const secret = randomBytes(32);
    const shown = { set: await signKeySet(privateKey, await setOf([secret], serial)) };
    await using gateway = await gatewayOf(secret, shown);
    await callThrough(gateway, pin, serials);
    assert.equal(serials.serial, serial);
  }
});

Deno.test("a set that was replaced is refused, however good its signature", async () => {
  const { pin, privateKey } = await generateRoot();
  const secret = randomBytes(32);
  const shown = { set: await signKeySet(privateKey, await setOf([secret], 7)) };
  await using gateway = await gatewayOf(secret, shown);
  const serials = memory();
  await callThrough(gateway, pin, serials);
  shown.set = await signKeySet(privateKey, await setOf([secret], 6));
  // Without a memory that lasts the process still remembers.
  for (const kept of [serials, memory()]) {
    await assert.rejects(callThrough(gateway, pin, kept), { code: "RAY_SERVER_KEY" });
  }
});

Deno.test("a set of another root, none at all, and a key it does not hold are refused", async () => {
  const other = await generateRoot();
  const [secret, stranger] = [randomBytes(32), randomBytes(32)];
  const shown = { set: await signKeySet(other.privateKey, await setOf([secret], 1)) };
  await using gateway = await gatewayOf(secret, shown);
  const refuses = () =>
    assert.rejects(callThrough(gateway, root.pin, memory()), { code: "RAY_SERVER_KEY" });
  await refuses();
  for (const text of ["", ".", "a.b", "x".repeat(4000)]) {
    shown.set = text;
    await refuses();
  }
  shown.set = await signKeySet(root.privateKey, await setOf([stranger], 1));
  await refuses();
  const odd = await setOf([secret], 1);
  shown.set = await signKeySet(root.privateKey, {
    ...odd,
    keys: odd.keys.map((key) => ({ ...key, kid: "AAAAAAAA" })),
  });
  await refuses();
});

Deno.test("keys are used in their time only, give or take a day for a clock that is wrong", async () => {
  const secret = randomBytes(32);
  const set = await setOf([secret], 1, [now - DAY, now + DAY]);
  const at = (ms: number) => pinsOf(provider, set, { now: ms, leastSerial: 0 });
  const [from, to] = [(now - DAY) * 1000, (now + DAY) * 1000];
  for (const ms of [from, now * 1000, to, from - CLOCK_TOLERANCE, to + CLOCK_TOLERANCE]) {
    assert.equal(at(ms).length, 1);
  }
  for (const ms of [0, from - CLOCK_TOLERANCE - 1, to + CLOCK_TOLERANCE + 1, 1e14]) {
    assert.throws(() => at(ms), { code: "RAY_SERVER_KEY", message: /clock/ });
  }
});

Deno.test("every flipped bit of a set makes it nobody's", async () => {
  const text = await signKeySet(root.privateKey, await setOf([randomBytes(32)], 3));
  assert.equal((await verifyKeySet(root.pin, text)).serial, 3);
  const [body = "", signature = ""] = text.split(".").map((part) => atob(base64(part)));
  const flipped = (bytes: string, bit: number): string => {
    const out = Uint8Array.from(bytes, (char) => char.charCodeAt(0));
    out[bit >> 3]! ^= 1 << (bit & 7);
    return out.toBase64({ alphabet: "base64url", omitPadding: true });
  };
  for (let bit = 0; bit < body.length * 8; bit++) {
    const changed = `${flipped(body, bit)}.${text.split(".")[1]}`;
    await assert.rejects(verifyKeySet(root.pin, changed), { code: "RAY_SERVER_KEY" });
  }
  for (let bit = 0; bit < signature.length * 8; bit++) {
    const changed = `${text.split(".")[0]}.${flipped(signature, bit)}`;
    await assert.rejects(verifyKeySet(root.pin, changed), { code: "RAY_SERVER_KEY" });
  }
});

Deno.test("where Web Crypto has no Ed25519, noble judges the same", async () => {
  const pair = await crypto.subtle.generateKey("Ed25519", true, [
    "sign",
    "verify",
  ]) as CryptoKeyPair;
  const raw = new Uint8Array(await crypto.subtle.exportKey("raw", pair.publicKey));
  for (let length = 0; length < 20; length++) {
    const message = randomBytes(length);
    const signature = new Uint8Array(
      await crypto.subtle.sign("Ed25519", pair.privateKey, message),
    );
    assert.equal(verifyEd25519(signature, message, raw), true);
    signature[length] = (signature[length] ?? 0) ^ 1;
    assert.equal(verifyEd25519(signature, message, raw), false);
  }
});

Deno.test("a pin or a root key that is none is CONFIG", async () => {
  await assert.rejects(verifyKeySet("root.AAAA", ""), { code: "CONFIG" });
  await assert.rejects(signKeySet("AAAA", { serial: 1, keys: [] }), { code: "CONFIG" });
});

function base64(text: string): string {
  return text.replaceAll("-", "+").replaceAll("_", "/");
}
