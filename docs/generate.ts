/**
 * Generated parts of the documentation site, made before every build and never committed:
 * `reference/errors.md` from the table of codes, `public/api/` from the doc comments of all entry points.
 *
 * @module
 */
import { ERROR_CODES } from "../_internal/errors.ts";

const docs = new URL("./", import.meta.url);

function errorPage(): string {
  const rows = Object.entries(ERROR_CODES).map(([code, info]) =>
    `| \`${code}\` | ${info.status} | ${info.retryable ? "yes" : "no"} | ${info.message} |`
  );
  return [
    "# Error codes",
    "",
    "Every failure that Kontract reports is a `KontractError` with one of these codes. Codes are never",
    "renamed or reused. Any other exception leaves the server as an opaque `INTERNAL` with a request id;",
    "the full story is in the server's log under the same id.",
    "",
    "| code | HTTP status | may be sent again as it is | meaning |",
    "| --- | --- | --- | --- |",
    ...rows,
    "",
  ].join("\n");
}

async function apiPages(): Promise<void> {
  const root = new URL("../", docs);
  const config: { exports: Record<string, string> } = JSON.parse(
    await Deno.readTextFile(new URL("deno.json", root)),
  );
  const output = new URL("public/api/", docs);
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      "doc",
      "--html",
      "--name=Kontract",
      `--output=${decodeURIComponent(output.pathname)}`,
      ...Object.values(config.exports),
    ],
    cwd: root,
    stderr: "piped",
    stdout: "null",
  }).output();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
}

await Deno.mkdir(new URL("reference/", docs), { recursive: true });
await Deno.writeTextFile(new URL("reference/errors.md", docs), errorPage());
await apiPages();
