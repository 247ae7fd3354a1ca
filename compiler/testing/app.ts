/**
 * Apps for tests: source texts in a temporary folder, with Kontract resolved to this checkout.
 *
 * @module
 */
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const PACKAGE = fileURLToPath(new URL("../../", import.meta.url));

/** A temporary app; `[Symbol.asyncDispose]` removes it. */
export interface TestApp {
  readonly root: string;
  /** Writes or, for null, removes a file. */
  write(path: string, text: string | null): Promise<void>;
  read(path: string): Promise<string>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** Makes an app of `files` (path → text). `name` is the folder's and so the app's, `dir` is where it lies. */
export async function makeApp(
  files: Readonly<Record<string, string>>,
  name = "app",
  dir?: string,
): Promise<TestApp> {
  const parent = await Deno.makeTempDir({ prefix: "kontract-test-", ...(dir && { dir }) });
  const root = join(await Deno.realPath(parent), name);
  const write = async (path: string, text: string | null): Promise<void> => {
    const file = join(root, path);
    if (text === null) return await Deno.remove(file);
    await Deno.mkdir(dirname(file), { recursive: true });
    await Deno.writeTextFile(file, text);
  };
  await write("deno.json", await appConfig());
  for (const [path, text] of Object.entries(files)) await write(path, text);
  return {
    root,
    write,
    read: (path) => Deno.readTextFile(join(root, path)),
    [Symbol.asyncDispose]: () => Deno.remove(parent, { recursive: true }),
  };
}

/** The import map of an app that has only Kontract: the package's own imports and exports. */
async function appConfig(): Promise<string> {
  const config = JSON.parse(await Deno.readTextFile(join(PACKAGE, "deno.json"))) as {
    readonly name: string;
    readonly imports: Readonly<Record<string, string>>;
    readonly exports: Readonly<Record<string, string>>;
  };
  const own = Object.entries(config.exports).map(([key, path]) => [
    config.name + key.slice(1),
    new URL(path, new URL("../../", import.meta.url)).href,
  ]);
  return JSON.stringify({
    imports: { ...config.imports, ...Object.fromEntries(own) },
    lock: false,
    nodeModulesDir: "none",
  });
}
