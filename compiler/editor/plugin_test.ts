/** The plugin in a language service, and in a real tsserver, which speaks its own protocol over its streams. */
import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";
import { stopBundler } from "../bundler_process.ts";
import { EDITOR_PLUGIN, installEditorPlugin } from "./install.ts";
import init from "./plugin.ts";

const PACKAGE = fileURLToPath(new URL("../../mod.ts", import.meta.url));

const FILES: Readonly<Record<string, string>> = {
  "own.ts": `// deno-fmt-ignore-file
import { backend } from "@kontract/kontract";
import { backend as again, logged } from "./again.ts";
import * as kontract from "@kontract/kontract";
@backend({ readOnly: true })
export async function one(): Promise<void> {}
@again({})
export async function two(): Promise<void> {}
@kontract.backend({})
export async function three(): Promise<void> {}
@logged
export async function four(): Promise<void> {}
export const wrong: string = 5;
`,
  "again.ts": `export { backend } from "@kontract/kontract";
export function logged(..._: unknown[]): void {}
`,
  "stranger.ts": `// deno-fmt-ignore-file
function backend(..._: unknown[]): any {}
@backend({})
export async function five(): Promise<void> {}
`,
  "below.ts": `import { backend } from "@kontract/kontract";
// deno-fmt-ignore-file
@backend({})
export async function seven(): Promise<void> {}
`,
  "formatted.ts": `import { backend } from "@kontract/kontract";
@backend({})
export async function six(): Promise<void> {}
`,
};

interface Message {
  readonly request_seq?: number;
  readonly body?: readonly { readonly start: { readonly line: number }; readonly code: number }[];
}

/** Asks a tsserver for the problems of files: `line:code`, by file. */
async function problems(
  root: string,
  names: readonly string[],
): Promise<Readonly<Record<string, readonly string[]>>> {
  const server = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-lock", "npm:typescript@6.0.3/tsserver", "--allowLocalPluginLoads"],
    cwd: root,
    stdin: "piped",
    stdout: "piped",
    stderr: "null",
  }).spawn();
  const writer = server.stdin.getWriter();
  const lines = server.stdout.pipeThrough(new TextDecoderStream()).getReader();
  let text = "", seq = 0;
  const send = async (command: string, args: unknown): Promise<number> => {
    const message = { seq: ++seq, type: "request", command, arguments: args };
    await writer.write(new TextEncoder().encode(`${JSON.stringify(message)}\n`));
    return seq;
  };
  const answer = async (wanted: number): Promise<Message> => {
    for (;;) {
      for (const line of text.split("\n").slice(0, -1)) {
        if (!line.startsWith("{")) continue;
        const message = JSON.parse(line) as Message;
        if (message.request_seq === wanted) return message;
      }
      const { done, value } = await lines.read();
      if (done) throw new Error(`tsserver ended: ${text}`);
      text += value;
    }
  };
  try {
    const found: Record<string, readonly string[]> = {};
    for (const name of names) {
      const file = join(root, name);
      await send("open", { file });
      const { body = [] } = await answer(await send("semanticDiagnosticsSync", { file }));
      found[name] = body.map(({ start, code }) => `${start.line}:${code}`);
    }
    return found;
  } finally {
    await lines.cancel().catch(() => {});
    await writer.close().catch(() => {});
    server.kill("SIGKILL");
    await server.status;
  }
}

const OPTIONS = {
  module: "esnext",
  moduleResolution: "bundler",
  target: "esnext",
  noEmit: true,
  allowImportingTsExtensions: true,
  strict: true,
  types: [],
  paths: { "@kontract/kontract": [PACKAGE] },
};

const NAMES = ["own.ts", "stranger.ts", "formatted.ts", "below.ts"];
const WITHOUT = {
  "own.ts": ["5:1206", "7:1206", "9:1206", "11:1206", "13:2322"],
  "stranger.ts": ["3:1206"],
  "formatted.ts": ["2:1206"],
  "below.ts": ["3:1206"],
};
const WITH = {
  "own.ts": ["11:1206", "13:2322"],
  "stranger.ts": ["3:1206"],
  "formatted.ts": ["2:1206"],
  "below.ts": ["3:1206"],
};

async function withFiles(body: (root: string) => Promise<void>): Promise<void> {
  const root = await Deno.realPath(await Deno.makeTempDir({ prefix: "kontract_editor_" }));
  try {
    for (const [name, text] of Object.entries(FILES)) {
      await Deno.writeTextFile(join(root, name), text);
    }
    await body(root);
  } finally {
    await Deno.remove(root, { recursive: true });
  }
}

Deno.test("a language service with the plugin says the same, but for Kontract's decorator", () =>
  withFiles((root) => {
    const { options } = ts.convertCompilerOptionsFromJson(OPTIONS, root);
    const files = Object.keys(FILES).map((name) => join(root, name));
    const service = ts.createLanguageService({
      getCompilationSettings: () => options,
      getScriptFileNames: () => files,
      getScriptVersion: () => "1",
      getScriptSnapshot: (file) => {
        const text = ts.sys.readFile(file);
        return text === undefined ? undefined : ts.ScriptSnapshot.fromString(text);
      },
      getCurrentDirectory: () => root,
      getDefaultLibFileName: ts.getDefaultLibFilePath,
      fileExists: ts.sys.fileExists,
      readFile: ts.sys.readFile,
    });
    const found = (of: ts.LanguageService): Record<string, string[]> =>
      Object.fromEntries(NAMES.map((name) => [
        name,
        of.getSemanticDiagnostics(join(root, name)).map(({ file, start, code }) =>
          `${file!.getLineAndCharacterOfPosition(start!).line + 1}:${code}`
        ),
      ]));
    assert.deepEqual(found(service), WITHOUT);
    const plugged = init({ typescript: ts }).create({ languageService: service });
    assert.deepEqual(found(plugged), WITH);
    assert.deepEqual(plugged.getSyntacticDiagnostics(files[0]!), []);
    return Promise.resolve();
  }));

Deno.test({
  name: "in tsserver TS1206 is gone for Kontract's decorator, and for no other and nothing else",
  sanitizeOps: false,
  sanitizeResources: false,
  async fn() {
    try {
      await withFiles(async (root) => {
        const configure = (plugins: readonly unknown[]): Promise<void> =>
          Deno.writeTextFile(
            join(root, "tsconfig.json"),
            JSON.stringify({
              compilerOptions: { ...OPTIONS, plugins },
              files: Object.keys(FILES).map((name) => `./${name}`),
            }),
          );
        await configure([]);
        assert.deepEqual(await problems(root, NAMES), WITHOUT);
        assert.equal(dirname(await installEditorPlugin(root)), join(root, "node_modules"));
        await configure([{ name: EDITOR_PLUGIN }]);
        assert.deepEqual(await problems(root, NAMES), WITH);
      });
    } finally {
      await stopBundler();
    }
  },
});
