import assert from "node:assert/strict";
import { addressOf, askedUpgrade } from "./address.ts";

const info = {
  remoteAddr: { transport: "tcp", hostname: "127.0.0.1", port: 1 },
  completed: Promise.resolve(),
} as Deno.ServeHandlerInfo;

function seen(forwarded: string | null, hops: number): string {
  const headers: HeadersInit = forwarded === null ? {} : { "x-forwarded-for": forwarded };
  return addressOf(new Request("http://app.test/", { headers }), info, hops);
}

Deno.test("a visitor's address is what the farthest of our own proxies saw", () => {
  assert.equal(seen("1.1.1.1, 203.0.113.5", 0), "127.0.0.1");
  assert.equal(seen("1.1.1.1, 203.0.113.5", 1), "203.0.113.5");
  assert.equal(seen("1.1.1.1, 203.0.113.5", 2), "1.1.1.1");
  assert.equal(seen("1.1.1.1, 203.0.113.5", 3), "127.0.0.1");
  assert.equal(seen(null, 1), "127.0.0.1");
  assert.equal(seen("not an address", 1), "127.0.0.1");
  assert.equal(addressOf(new Request("http://app.test/"), undefined, 0), "unknown");
});

Deno.test("a port that a proxy wrote along makes no new visitor", () => {
  assert.equal(seen("203.0.113.5:40001", 1), "203.0.113.5");
  assert.equal(seen("[2001:db8::1]:443", 1), "2001:db8::1");
  assert.equal(seen("[2001:db8::1]", 1), "2001:db8::1");
  assert.equal(seen("2001:db8::1", 1), "2001:db8::1");
});

Deno.test("what an upgrade asked for is what our own proxy says, and nobody else", () => {
  const asked = (host: string | null, hops: number): string => {
    const headers: HeadersInit = host === null ? {} : { "x-forwarded-host": host };
    return askedUpgrade(new Request("http://127.0.0.1:5000/ray?x=1", { headers }), hops).url;
  };
  assert.equal(asked("acme.test", 1), "http://acme.test/ray?x=1");
  assert.equal(asked("acme.test:8787", 2), "http://acme.test:8787/ray?x=1");
  assert.equal(asked("acme.test", 0), "http://127.0.0.1:5000/ray?x=1");
  assert.equal(asked(null, 1), "http://127.0.0.1:5000/ray?x=1");
  assert.equal(asked("a b", 1), "http://127.0.0.1:5000/ray?x=1");
});
