import assert from "node:assert/strict";
import { AppError } from "./app_error.ts";
import { parseSecrets } from "./keys.ts";

Deno.test("a secret is at least 32 bytes in base64url; what was given instead is not repeated", () => {
  const text = (length: number): string =>
    new Uint8Array(length).fill(9).toBase64({ alphabet: "base64url", omitPadding: true });
  assert.deepEqual(parseSecrets(`${text(32)}, ${text(40)}`).map(({ length }) => length), [32, 40]);
  const hostile = [
    undefined,
    "",
    "  ",
    ",",
    text(31),
    `${text(32)},`,
    "pässword",
    "a b",
    "=".repeat(64),
  ];
  for (const given of [...hostile, "hunter2".repeat(20) + "!", `${text(32)},hunter2`]) {
    assert.throws(() => parseSecrets(given), (error: Error & { code?: string }) => {
      assert.equal(error.code, "CONFIG");
      assert.doesNotMatch(error.message, /hunter2/);
      return true;
    }, given);
  }
});

Deno.test("an app's error has a code and a status of its own, or is refused", () => {
  const error = new AppError("ROOM_FULL", undefined, { status: 409, data: { seats: 4 } });
  assert.deepEqual([error.message, error.status, error.data], ["ROOM_FULL", 409, { seats: 4 }]);
  assert.equal(new AppError("ROOM_FULL").status, 400);
  for (const code of ["", "room", "NOT_FOUND", "A B", "1A", "A".repeat(65), "ROOM-FULL", "Ä"]) {
    assert.throws(() => new AppError(code), { code: "CONFIG" }, code);
  }
  for (const status of [399, 600, 0, -1, NaN, 400.5, Infinity, "409" as unknown as number]) {
    assert.throws(() => new AppError("ROOM_FULL", "", { status }), { code: "CONFIG" }, `${status}`);
  }
});
