/**
 * `kontract deploy`: build, migrate, hand over to wrangler.
 *
 * The build pins the public key of `KONTRACT_SECRET` into the client, so the Worker must have the very secret
 * of the environment: it goes along, with the database's address where no Hyperdrive is bound, as secrets of
 * the Worker. So the first deploy needs no step before it.
 *
 * @module
 */
import { join } from "node:path";
import { KontractError } from "../../_internal/errors.ts";
import { parseSecrets } from "../../_internal/keys.ts";
import { addressesOf, type Manifest } from "../../_internal/manifest.ts";
import type { BuildReport, OutputSize } from "../../compiler/mod.ts";
import { type Command, folderOf } from "../command.ts";
import { type AppFolder, openAppFolder } from "../dev/app_folder.ts";
import { buildApp } from "../dev/build_app.ts";
import { environmentDatabase } from "../dev/database.ts";
import { migrateApp } from "../dev/migrate_app.ts";
import { loadSecret } from "../dev/secret.ts";
import { WORKER_ENTRY } from "../dev/workers_host.ts";
import { parseJsonc } from "../jsonc.ts";
import { requiredSecrets, wranglerText } from "../wrangler_config.ts";

const WRANGLER = "npm:wrangler@4.155.0";

const DRY_RUN_ENDED =
  "Nothing was deployed, and no database was asked. dist/ is now the build for Workers alone.";

/** The command. */
export const command: Command = {
  usage: "deploy [folder]",
  summary: "Builds an app, migrates its database and deploys it to Cloudflare Workers.",
  options: {
    "dry-run": {
      type: "boolean",
      help: "Build into dist/ and let wrangler check it; deploy nothing.",
    },
    "verbose": { type: "boolean", help: "With --dry-run: everything that wrangler says." },
  },
  positionals: 1,
  async run(input) {
    const dryRun = input.values["dry-run"] === true;
    const app = await openAppFolder(folderOf(input));
    if (!dryRun) requireDeploySettings();
    const secrets = parseSecrets(await loadSecret(app));
    const built = await buildApp(app, secrets, ["workers"], { minify: true });
    if (built.warnings !== "") console.error(built.warnings);
    console.log(workerSize(built.report));
    const own = await ownConfig(app);
    const config = await writeConfig(app, built.manifest, own);
    if (dryRun) {
      const short = input.values.verbose !== true;
      const code = await wrangler(["--config", config, "--dry-run"], short);
      if (code === 0) console.log(DRY_RUN_ENDED);
      return code;
    }
    const { steps, notes } = await migrateApp(environmentDatabase()!, built, secrets, app.root);
    for (const step of steps) console.log(`migrated: ${step}`);
    for (const note of notes) console.log(`note: ${note}`);
    const file = await Deno.makeTempFile({ prefix: "kontract_deploy_", suffix: ".json" });
    try {
      await Deno.writeTextFile(file, workerSecrets(own));
      return await wrangler(["--config", config, "--secrets-file", file]);
    } finally {
      await Deno.remove(file);
    }
  },
};

/** What is uploaded as code, in total. */
function workerSize(report: BuildReport | null): string {
  const files = report?.outputs.filter(({ file }) => file.startsWith("worker/")) ?? [];
  const sum = (pick: (file: OutputSize) => number): string =>
    (files.reduce((total, file) => total + pick(file), 0) / 1000).toFixed(0);
  return `Worker: ${files.length} files, ${sum(({ bytes }) => bytes)} kB, ` +
    `${sum(({ gzip }) => gzip)} kB with gzip`;
}

/** A deploy with a throw-away key or to a laptop's database would only look like one. */
function requireDeploySettings(): void {
  const names = ["KONTRACT_SECRET", "DATABASE_URL", "DATABASE_ADMIN_URL"];
  const missing = names.filter((name) => (Deno.env.get(name) ?? "") === "");
  if (missing.length === 0) return;
  throw new KontractError(
    "CONFIG",
    `A deploy needs ${
      missing.join(", ")
    } in the environment: the secret that the Worker has (its ` +
      "public key is built into the client) and the production database. " +
      "'deploy --dry-run' needs none of them.",
  );
}

/** What the Worker is given of the environment, as wrangler reads it. */
function workerSecrets(own: Readonly<Record<string, unknown>>): string {
  const names = [...requiredSecrets(own), "KONTRACT_KEY_SET"];
  const known = names.map((name) => [name, Deno.env.get(name) ?? ""] as const)
    .filter(([, value]) => value !== "");
  return JSON.stringify(Object.fromEntries(known));
}

async function writeConfig(
  app: AppFolder,
  manifest: Manifest,
  own: Readonly<Record<string, unknown>>,
): Promise<string> {
  const name = manifest.app;
  const addresses = addressesOf(manifest);
  const assets = await Deno.stat(join(app.dist, "public")).then(() => true, () => false);
  const path = join(app.dist, "wrangler.jsonc");
  const main = `./worker/${WORKER_ENTRY}`;
  await Deno.writeTextFile(path, wranglerText({ app: name, main, assets, addresses, own }));
  return path;
}

async function ownConfig(app: AppFolder): Promise<Record<string, unknown>> {
  for (const name of ["wrangler.jsonc", "wrangler.json"]) {
    const text = await Deno.readTextFile(join(app.root, name)).catch(() => null);
    if (text !== null) return parseJsonc(text, name);
  }
  return {};
}

/**
 * The command's exit code: 0 where wrangler did all. `short` leaves its table of modules out; it asks nothing
 * then, as it sees no terminal.
 */
async function wrangler(args: readonly string[], short = false): Promise<number> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-lock", "--quiet", "--allow-all", WRANGLER, "deploy", ...args],
    env: {
      WRANGLER_SEND_METRICS: "false",
      WRANGLER_HIDE_BANNER: "true",
      CLOUDFLARE_CF_FETCH_ENABLED: "false",
    },
    stdout: short ? "piped" : "inherit",
  }).spawn();
  if (short) await printWithoutTable(child.stdout);
  const { code } = await child.status;
  if (code === 0) return 0;
  console.error(`wrangler ended with code ${code}; dist/wrangler.jsonc is what it was given.`);
  return 1;
}

/** One row for each chunk of the Worker: sizes that matter are told already. */
async function printWithoutTable(output: ReadableStream<Uint8Array<ArrayBuffer>>): Promise<void> {
  let rest = "";
  const print = (line: string): void => {
    // deno-lint-ignore no-control-regex
    const plain = line.replaceAll(/\x1b\[[\d;]*m/g, "");
    if (!/^(?:[┌├└│]|Attaching additional modules:)/.test(plain)) console.log(line);
  };
  for await (const text of output.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    lines.forEach(print);
  }
  if (rest !== "") print(rest);
}
