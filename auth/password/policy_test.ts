/**
 * Which passwords may be chosen.
 *
 * @module
 */
import assert from "node:assert/strict";
import { isCommonPassword } from "./common.ts";
import { describeFault, judgePassword } from "./policy.ts";
import type { PasswordFault } from "./policy.ts";

const email = "alice.miller@wonderco.example";
const judge = (password: string): PasswordFault | null =>
  judgePassword(password, { appName: "Guestbook" }, email);

Deno.test("long enough and unusual is all that is asked", () => {
  for (
    const good of [
      "correct horse battery staple",
      "tr4ver-mule",
      "ünïcødé ĝood",
      "盲目的猫头鹰飞过河",
      "        x9 q        ",
      "xxxqlzpw",
      "a9!kd02m",
      "I walk 3 dogs at dawn",
    ]
  ) assert.equal(judge(good), null, good);
});

Deno.test("length counts characters below and bytes above", () => {
  assert.equal(judge("a9!kd02"), "too_short");
  assert.equal(judge("🦊🐻🐼🐨🐯🦁🐮"), "too_short");
  assert.equal(judge("🦊🐻🐼🐨🐯🦁🐮🐷"), null);
  assert.equal(judge("ab cd ef gh ij kl".repeat(70)), "too_long");
  assert.equal(judgePassword("a9!kd02m", { minLength: 12 }), "too_short");
  assert.equal(judgePassword("a9!kd", { minLength: 2 }), "too_short", "never below 8");
  assert.match(describeFault("too_short"), /fewer than 8 characters/);
  assert.match(describeFault("too_short", { minLength: 12 }), /fewer than 12 characters/);
});

Deno.test("well-known passwords are refused with their usual ornaments", () => {
  for (
    const bad of [
      "password",
      "Password1",
      "P@ssw0rd",
      "p@$$w0rd123!",
      "PASSWORD2024",
      "iloveyou!!",
      "Dragon12345",
      "dr4g0n99",
      "qwertyuiop",
      "1qaz2wsx",
      "letmein99",
      "Football1",
      "!!welcome!!",
      "trustno1!",
    ]
  ) assert.equal(isCommonPassword(bad), true, bad);
});

Deno.test("runs and repetitions are refused", () => {
  for (const bad of ["aaaaaaaa", "abababab", "abcabcabcabc", "12121212", "xyxxyxyy"]) {
    assert.equal(judge(bad), "repetitive", bad);
  }
  for (const bad of ["12345678", "1234567890", "87654321", "abcdefgh", "hgfedcba", "23456789a"]) {
    assert.equal(judge(bad), "sequential", bad);
  }
});

Deno.test("the e-mail address and the app's name do not make a password", () => {
  for (
    const bad of [
      "alice.miller",
      "Miller!99",
      "guestbook",
      "Gu3stb00k!!",
      "wonderco2024",
      email,
    ]
  ) assert.equal(judge(bad), "contains_identity", bad);
});

Deno.test("what cannot be typed again is refused", () => {
  assert.equal(judge("abc\0defgh"), "not_text");
  assert.equal(judge("abcdefg\ud800xyz"), "not_text");
});

Deno.test("where weak passwords are allowed, length alone counts", () => {
  const weak = { allowWeak: true, appName: "guestbook" };
  for (const one of ["password123", "aaaaaaaa", "12345678", "guestbook"]) {
    assert.equal(judgePassword(one, weak, email), null, one);
  }
  assert.equal(judgePassword("short", weak), "too_short");
  assert.equal(judgePassword("a".repeat(2000), weak), "too_long");
});
