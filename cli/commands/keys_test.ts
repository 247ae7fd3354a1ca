import assert from "node:assert/strict";
import { parseSecrets } from "../../_internal/keys.ts";
import { verifyKeySet } from "../../protocol/mod.ts";
import { runCommand } from "../testing/run_command.ts";

interface Shown {
  readonly kid: string;
  readonly pin: string;
}

async function shown(secret: string): Promise<readonly Shown[]> {
  const { stdout, code } = await runCommand(["keys", "show", "--json"], {
    KONTRACT_SECRET: secret,
  });
  assert.equal(code, 0);
  for (const part of secret.split(",")) assert.ok(!stdout.includes(part), "the secret was printed");
  return JSON.parse(stdout);
}

Deno.test("keys new makes a usable secret, another one each time", async () => {
  const [one, two] = await Promise.all([
    runCommand(["keys", "new"], {}),
    runCommand(["keys", "new"], {}),
  ]);
  assert.equal(parseSecrets(one.stdout.trim())[0]?.length, 32);
  assert.notEqual(one.stdout, two.stdout);
});

Deno.test("keys rotate puts a new secret in front, and clients of the old one keep their pin", async () => {
  const first = (await runCommand(["keys", "new"], {})).stdout.trim();
  const before = await shown(first);
  const { stdout } = await runCommand(["keys", "rotate"], { KONTRACT_SECRET: first });
  const rotated = stdout.trim();
  const after = await shown(rotated);
  assert.equal(after.length, 2);
  assert.deepEqual(after[1], before[0]);
  assert.notDeepEqual(after[0], before[0]);

  const again = await runCommand(["keys", "rotate", "--keep", "2"], { KONTRACT_SECRET: rotated });
  assert.deepEqual((await shown(again.stdout.trim())).slice(1), after);
  const alone = await runCommand(["keys", "rotate", "--keep=0"], { KONTRACT_SECRET: rotated });
  assert.equal((await shown(alone.stdout.trim())).length, 1);
});

Deno.test("keys rotate renews an app's own secret in its file, readable by its owner alone", async () => {
  const app = await Deno.makeTempDir({ prefix: "kontract_keys_" });
  try {
    await Deno.writeTextFile(`${app}/deno.json`, "{}");
    const missing = await runCommand(["keys", "show", app], {});
    assert.equal(missing.code, 1);
    await Deno.mkdir(`${app}/.kontract`);
    const first = (await runCommand(["keys", "new"], {})).stdout;
    await Deno.writeTextFile(`${app}/.kontract/secret`, first);
    const { code, stdout } = await runCommand(["keys", "rotate", app], {});
    assert.equal(code, 0);
    const kept = (await Deno.readTextFile(`${app}/.kontract/secret`)).trim().split(",");
    assert.equal(kept.length, 2);
    assert.equal(kept[1], first.trim());
    for (const part of kept) assert.ok(!stdout.includes(part));
    const { mode } = await Deno.stat(`${app}/.kontract/secret`);
    if (mode !== null) assert.equal(mode & 0o777, 0o600);
  } finally {
    await Deno.remove(app, { recursive: true });
  }
});

Deno.test("keys refuses what is no secret, too many of them, and unknown words, without repeating a value", async () => {
  const good = (await runCommand(["keys", "new"], {})).stdout.trim();
  const cases = [
    [["keys", "show"], "nonsense-value", 1],
    [["keys", "show"], [good, good, good, good].join(","), 1],
    [["keys", "rotate", "--keep", "7"], good, 2],
    [["keys", "forget"], good, 2],
  ] as const;
  await Promise.all(cases.map(async ([args, secret, expected]) => {
    const { code, stdout, stderr } = await runCommand([...args], { KONTRACT_SECRET: secret });
    assert.equal(code, expected, stderr);
    assert.ok(!`${stdout}${stderr}`.includes(secret));
  }));
});

Deno.test("keys sign gives what a client of the root believes, each set above the one before", async () => {
  const secret = (await runCommand(["keys", "new"], {})).stdout.trim();
  const made = await runCommand(["keys", "new", "--root"], {});
  const KONTRACT_ROOT = made.stdout.trim();
  const KONTRACT_ROOT_PIN = /root\.[\w-]{43}/.exec(made.stderr)?.[0] ?? "";
  assert.ok(!made.stderr.includes(KONTRACT_ROOT), "the private key is where a pipe takes it");
  const env = { KONTRACT_ROOT, KONTRACT_ROOT_PIN, KONTRACT_SECRET: secret };
  const first = await runCommand(["keys", "sign"], env);
  assert.equal(first.code, 0);
  const set = await verifyKeySet(KONTRACT_ROOT_PIN, first.stdout);
  assert.equal(set.serial, 1);
  assert.deepEqual(set.keys.map((key) => key.public), (await shown(secret)).map(({ pin }) => pin));

  const KONTRACT_KEY_SET = first.stdout.trim();
  const later = { ...env, KONTRACT_KEY_SET };
  const second = await runCommand(["keys", "sign", "--days", "7"], later);
  const next = await verifyKeySet(KONTRACT_ROOT_PIN, second.stdout);
  assert.equal(next.serial, 2);
  assert.equal(next.keys[0]!.not_after - next.keys[0]!.not_before, 7 * 86_400);
  assert.match((await runCommand(["keys", "show"], later)).stdout, /signed, serial 1, until 20/);
});

Deno.test("keys sign says what is missing or wrong", async () => {
  const KONTRACT_SECRET = (await runCommand(["keys", "new"], {})).stdout.trim();
  const without = await runCommand(["keys", "sign"], { KONTRACT_SECRET });
  assert.match(without.stderr, /Set KONTRACT_ROOT/);
  const wrong = await runCommand(["keys", "sign"], { KONTRACT_SECRET, KONTRACT_ROOT: "AAAA" });
  assert.match(wrong.stderr, /keys new --root/);
  const { stdout } = await runCommand(["keys", "new", "--root"], {});
  const env = { KONTRACT_SECRET, KONTRACT_ROOT: stdout.trim() };
  assert.match((await runCommand(["keys", "sign", "--days", "0"], env)).stderr, /--days/);
  const unknown = await runCommand(["keys", "sign"], { ...env, KONTRACT_KEY_SET: "a.b" });
  assert.match(unknown.stderr, /KONTRACT_ROOT_PIN/);
  for (const each of [without, wrong, unknown]) assert.equal(each.code, 1);
});
