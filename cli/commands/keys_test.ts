import assert from "node:assert/strict";
import { parseSecrets } from "../../_internal/keys.ts";
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
