/**
 * Generated parts of the documentation site, made before every build and never committed:
 *
 * - `reference/errors.md` from the tables of codes, `reference/command_line.md` from the commands' help,
 * - `cookbook/` from the examples' sources,
 * - `public/api/` from the doc comments of all entry points.
 *
 * Run from the repository's root with its configuration: `deno task docs` and `docs:build` do.
 *
 * @module
 */
import { fileURLToPath } from "node:url";
import { ERROR_CODES } from "../_internal/errors.ts";
import {
  check,
  DIAGNOSTIC_CODES,
  emitCookbook,
  formatDiagnostics,
  stopBundler,
  writeCookbook,
} from "../compiler/mod.ts";
import { exampleNames } from "../tests/examples.ts";

const docs = new URL("./", import.meta.url);
const root = new URL("../", docs);

function row(...cells: readonly (string | number)[]): string {
  return `| ${cells.join(" | ")} |`;
}

function errorPage(): string {
  const errors = Object.entries(ERROR_CODES).map(([code, info]) =>
    row(`\`${code}\``, info.status, info.retryable ? "yes" : "no", info.message)
  );
  const diagnostics = Object.entries(DIAGNOSTIC_CODES).map(([code, topic]) =>
    row(`\`${code}\``, topic)
  );
  return [
    "# Error codes",
    "",
    "Every failure that Kontract reports is a `KontractError` with one of these codes. Codes are never",
    "renamed or reused. Any other exception leaves the server as an opaque `INTERNAL` with a request id;",
    "the full story is in the server's log under the same id.",
    "",
    row("code", "HTTP status", "may be sent again as it is", "default message"),
    row("---", "---", "---", "---"),
    ...errors,
    "",
    "An app's own errors extend `AppError`, with codes that are not in this table: see",
    "[functions](../guide/functions.md#errors).",
    "",
    "## Compiler codes",
    "",
    "What `kontract build` and `kontract check` report, each with a sentence, a code frame and, where there is",
    "one, what to do.",
    "",
    row("code", "about"),
    row("---", "---"),
    ...diagnostics,
    "",
  ].join("\n");
}

/** Runs Deno in the repository's root and gives what it wrote to stdout. */
async function deno(args: readonly string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [...args],
    cwd: root,
    env: { NO_COLOR: "1" },
    stderr: "piped",
    stdout: "piped",
  }).output();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
  return new TextDecoder().decode(stdout);
}

async function commandPage(): Promise<string> {
  const help = (name: string): Promise<string> =>
    deno([
      "run",
      "-A",
      "--config",
      "deno.json",
      "cli.ts",
      ...(name === "" ? [] : [name]),
      "--help",
    ]);
  const overview = await help("");
  const names = new Set(
    [...overview.matchAll(/^ {2}([a-z]+)\b/gm)].map((match) => match[1]!),
  );
  const pages = await Promise.all([...names].map(async (name) => [
    `## kontract ${name}`,
    "",
    "```text",
    (await help(name)).trim(),
    "```",
    "",
  ]));
  return [
    "# Command line",
    "",
    "`deno run -A jsr:@kontract/kontract/cli` is the `kontract` command. A folder defaults to the current one.",
    "Exit codes: 0 done, 1 failed, 2 wrong arguments.",
    "",
    ...pages.flat(),
  ].join("\n");
}

async function apiPages(): Promise<void> {
  const config: { exports: Record<string, string> } = JSON.parse(
    await Deno.readTextFile(new URL("deno.json", root)),
  );
  const output = new URL("public/api/", docs);
  await Deno.mkdir(new URL("public/", docs), { recursive: true });
  await deno([
    "doc",
    "--html",
    "--name=Kontract",
    `--output=${fileURLToPath(output)}`,
    ...Object.values(config.exports),
  ]);
}

async function cookbooks(): Promise<void> {
  const names = await exampleNames();
  for (const name of names) {
    const found = await check(
      fileURLToPath(new URL(`examples/${name}/`, root)),
    );
    if (!found.ok || found.manifest === undefined) {
      throw new Error(
        `examples/${name}:\n${formatDiagnostics(found.diagnostics)}`,
      );
    }
    const folder = fileURLToPath(new URL(`cookbook/${name}`, docs));
    await writeCookbook(folder, emitCookbook(found.manifest));
  }
  await stopBundler();
  await write(
    "cookbook/index.md",
    [
      "# Cookbooks of the examples",
      "",
      "Made by `kontract cookbook` from each example's sources; see [the guide](../guide/cookbook.md).",
      "",
      ...names.map((name) => `- [${name}](./${name}/index.md)`),
      "",
    ].join("\n"),
  );
}

async function write(path: string, text: string): Promise<void> {
  const file = new URL(path, docs);
  await Deno.mkdir(new URL("./", file), { recursive: true });
  await Deno.writeTextFile(file, text);
}

await Promise.all([
  write("reference/errors.md", errorPage()),
  commandPage().then((text) => write("reference/command_line.md", text)),
  apiPages(),
  cookbooks(),
]);
