import assert from "node:assert/strict";
import { checkHeader, HttpResp } from "./response.ts";

Deno.test("a header that would break the answer, or that is Kontract's own, is refused", () => {
  for (const name of ["x-app", "location", "cache-control", "link", "a".repeat(64)]) {
    checkHeader(name, "value");
  }
  const names = ["", "a b", "a:b", "ü", "a\r\nx: y", "a".repeat(65)];
  const own = ["Set-Cookie", "content-length", "Transfer-Encoding", "access-control-allow-origin"];
  for (const name of [...names, ...own]) {
    assert.throws(() => checkHeader(name, "value"), { code: "VALIDATION" }, name);
  }
  for (const value of ["a\r\nset-cookie: x=1", "a\nb", "ü", "\0", "x".repeat(2049), 5, null]) {
    assert.throws(() => checkHeader("x-app", value as string), { code: "VALIDATION" }, `${value}`);
  }
});

Deno.test("a redirect leads to a path of the app or to an https address, and nowhere else", () => {
  const elsewhere = [
    "//evil.example",
    "/\\evil.example",
    "http://a.example",
    "javascript:alert(1)",
  ];
  for (const location of [...elsewhere, "page", ""]) {
    assert.throws(() => HttpResp.redirect(location), { code: "VALIDATION" }, location);
  }
});

Deno.test("an answer with a status is made in a call, and nowhere else", () => {
  assert.throws(() => HttpResp.ok(1), { code: "CONTEXT_MISSING" });
});
