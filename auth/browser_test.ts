/**
 * Cookies, CSRF and CORS decisions.
 *
 * @module
 */
import assert from "node:assert/strict";
import {
  ACCESS_COOKIE,
  clearSessionCookies,
  readCookie,
  REFRESH_COOKIE,
  sessionCookies,
  setCookie,
} from "./cookie.ts";
import { decideCors, DEFAULT_CORS, normalizeOrigin } from "./cors.ts";
import { decideCsrf } from "./csrf.ts";
import type { CsrfRequest } from "./csrf.ts";

const SELF = "https://app.example.com";

Deno.test("session cookies carry every attribute that confines them", () => {
  const [access, refresh] = sessionCookies({ access: "a.b.c", refresh: "r-_" }, 86_400);
  assert.equal(
    access,
    "__Host-kontract=a.b.c; Path=/; Max-Age=86400; Secure; HttpOnly; SameSite=Lax",
  );
  assert.match(refresh ?? "", /^__Host-kontract-refresh=r-_; Path=\/;/);
  for (const cleared of clearSessionCookies()) assert.match(cleared, /=; Path=\/; Max-Age=0; Sec/);
  assert.match(setCookie(ACCESS_COOKIE, "x", 1e12), /Max-Age=34560000;/);
});

Deno.test("no value can add an attribute or a header", () => {
  for (const bad of ["a;b", "a b", "a\r\nSet-Cookie: x=1", 'a"', "a,b", "ä", "x".repeat(3501)]) {
    assert.throws(() => setCookie(ACCESS_COOKIE, bad, 1), { code: "INTERNAL" });
  }
  for (const bad of ["session", "__Host-", "__Host-a=b", "__Secure-a", "__Host-a;b"]) {
    assert.throws(() => setCookie(bad, "x", 1), { code: "INTERNAL" });
  }
});

Deno.test("a cookie is read by its exact name, and not at all where it is there twice", () => {
  const header = `a=1; ${ACCESS_COOKIE}=tok.en.x ;${REFRESH_COOKIE}=ref; b`;
  assert.equal(readCookie(header, ACCESS_COOKIE), "tok.en.x");
  assert.equal(readCookie(header, REFRESH_COOKIE), "ref");
  assert.equal(readCookie(`${ACCESS_COOKIE}=a; ${ACCESS_COOKIE}=b`, ACCESS_COOKIE), null);
  assert.equal(readCookie(`${ACCESS_COOKIE}=`, ACCESS_COOKIE), null);
  assert.equal(readCookie(`x${ACCESS_COOKIE}=a`, ACCESS_COOKIE), null);
  assert.equal(readCookie(`${ACCESS_COOKIE.toLowerCase()}=a`, ACCESS_COOKIE), null);
  assert.equal(readCookie(null, ACCESS_COOKIE), null);
  assert.equal(readCookie(`${ACCESS_COOKIE}=a;${"x".repeat(20_000)}`, ACCESS_COOKIE), null);
});

const csrf = (change: Partial<CsrfRequest>): string => {
  const decision = decideCsrf({
    method: "POST",
    cookie: true,
    fetchSite: null,
    origin: null,
    self: SELF,
    allowed: ["https://admin.example.com"],
    ...change,
  });
  return decision.allow ? "allow" : decision.reason;
};

Deno.test("a post with a cookie needs evidence of where it comes from", () => {
  assert.equal(csrf({}), "no_evidence");
  assert.equal(csrf({ fetchSite: "same-origin" }), "allow");
  assert.equal(csrf({ fetchSite: "none" }), "allow");
  assert.equal(csrf({ fetchSite: "same-site" }), "cross_site");
  assert.equal(csrf({ fetchSite: "cross-site" }), "cross_site");
  assert.equal(csrf({ fetchSite: "cross-site", origin: SELF }), "cross_site");
  assert.equal(csrf({ fetchSite: "Same-Origin" }), "cross_site");
  assert.equal(csrf({ fetchSite: "", origin: SELF }), "cross_site");
  assert.equal(csrf({ origin: SELF }), "allow");
  for (
    const origin of [
      "null",
      "http://app.example.com",
      "https://app.example.com:8443",
      "https://app.example.com.evil.example",
      "https://evil.example",
      "https://APP.example.com",
      `${SELF}/`,
      "",
    ]
  ) assert.equal(csrf({ origin }), "foreign_origin", origin);
});

Deno.test("an origin on the list may act with cookies, a bearer token needs no evidence", () => {
  const origin = "https://admin.example.com";
  assert.equal(csrf({ origin }), "allow");
  assert.equal(csrf({ origin, fetchSite: "same-site" }), "allow");
  assert.equal(csrf({ origin: "null", allowed: ["null"] }), "foreign_origin");
  assert.equal(csrf({ cookie: false }), "allow");
  assert.equal(csrf({ cookie: false, fetchSite: "cross-site" }), "allow");
});

Deno.test("safe methods pass, all others are judged, unknown ones and lower case included", () => {
  for (const method of ["GET", "HEAD", "OPTIONS"]) assert.equal(csrf({ method }), "allow");
  for (const method of ["PUT", "PATCH", "DELETE", "get", "PROPFIND", ""]) {
    assert.equal(csrf({ method }), "no_evidence");
  }
});

const policy = { ...DEFAULT_CORS, origins: ["https://www.example.com"] };

Deno.test("only an exact origin of the list is answered, and by its own name", () => {
  const ask = (origin: string | null, method = "POST", requestMethod: string | null = null) =>
    decideCors({ origin, method, requestMethod, self: SELF }, policy);
  assert.equal(ask(null).kind, "same_origin");
  assert.equal(ask(SELF).kind, "same_origin");
  const allowed = ask("https://www.example.com");
  assert.equal(allowed.kind, "allowed");
  assert.equal(allowed.headers["access-control-allow-origin"], "https://www.example.com");
  assert.equal(allowed.headers["vary"], "Origin");
  for (
    const origin of [
      "null",
      "*",
      "https://example.com",
      "http://www.example.com",
      "https://www.example.com:444",
      "https://www.example.com.evil.example",
      "https://evil.example/https://www.example.com",
      "https://WWW.example.com",
    ]
  ) {
    const refused = ask(origin);
    assert.equal(refused.kind, "refused", origin);
    assert.deepEqual(refused.headers, { vary: "Origin" });
  }
  const preflight = ask("https://www.example.com", "OPTIONS", "POST");
  assert.equal(preflight.kind, "preflight");
  assert.equal(preflight.headers["access-control-allow-methods"], "GET, POST");
  assert.equal(ask("https://evil.example", "OPTIONS", "POST").kind, "refused");
});

Deno.test("configured origins are taken in the browser's form or not at all", () => {
  assert.equal(normalizeOrigin("https://Example.com/"), "https://example.com");
  assert.equal(normalizeOrigin("https://example.com:443"), "https://example.com");
  assert.equal(normalizeOrigin("http://127.0.0.1:8787"), "http://127.0.0.1:8787");
  for (
    const bad of [
      "*",
      "https://*.example.com",
      "https://example.com/path",
      "example.com",
      "file:///x",
      "https://u:p@example.com",
      "null",
      "",
    ]
  ) assert.equal(normalizeOrigin(bad), null, bad);
});
