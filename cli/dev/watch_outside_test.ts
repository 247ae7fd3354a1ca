/** `kontract dev` follows what an app is made from and does not hold. */
import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import { until } from "../../tests/until.ts";
import { TemporaryApp } from "../testing/temporary_app.ts";
import { OutsideFiles } from "./watch_outside.ts";

const options = {
  sanitizeOps: false,
  sanitizeResources: false,
  ignore: Deno.build.os !== "linux",
};

const GREET = `import { backend } from "@kontract/kontract";
import { direct } from "../../BESIDE/direct.ts";
import { mapped } from "mapped/mapped.ts";
import { linked } from "@beside/linked";
import { member } from "@beside/member";
import { real } from "./link.ts";
import { word } from "./words/word.ts";
/** What all folders beside the app say. */
export const greet = backend({ readOnly: true }, (): Promise<string> =>
  Promise.resolve([direct, mapped, linked, member, real, word].join(" ")));
`;

const said = (name: string, text: string): string => `export const ${name} = "${text}";\n`;

Deno.test(
  "dev follows folders beside the app, mapped, linked and of the workspace, as they change, go and come back",
  options,
  async () => {
    await using app = await TemporaryApp.create([]);
    const beside = await Deno.makeTempDir({ prefix: "kontract_beside_" });
    const write = async (path: string, text: string): Promise<void> => {
      const file = join(beside, path);
      await Deno.mkdir(dirname(file), { recursive: true });
      await Deno.writeTextFile(file, text);
    };
    try {
      const configFile = join(app.folder, "deno.json");
      const config = JSON.parse(await Deno.readTextFile(configFile));
      config.imports["mapped/"] = `${beside}/mapped/`;
      config.imports["@beside/linked"] = "jsr:@beside/linked@^1.0.0";
      config.links.push(`${beside}/linked`);
      config.workspace = ["./member"];
      await Deno.writeTextFile(configFile, JSON.stringify(config));
      const packageOf = (name: string): string =>
        JSON.stringify({ name: `@beside/${name}`, version: "1.0.0", exports: "./mod.ts" });
      await Deno.mkdir(join(app.folder, "member"));
      await Deno.writeTextFile(join(app.folder, "member", "deno.json"), packageOf("member"));
      await Deno.writeTextFile(join(app.folder, "member", "mod.ts"), said("member", "m1"));
      await write("linked/deno.json", packageOf("linked"));
      await write("linked/mod.ts", said("linked", "l1"));
      await write("mapped/mapped.ts", said("mapped", "p1"));
      await write("direct.ts", said("direct", "d1"));
      const greet = GREET.replace("BESIDE", beside.slice(beside.lastIndexOf("/") + 1));
      await Deno.writeTextFile(join(app.folder, "src", "greet.ts"), greet);
      await write("real.ts", said("real", "r1"));
      await write("words/word.ts", said("word", "w1"));
      await Deno.symlink(join(beside, "real.ts"), join(app.folder, "src", "link.ts"));
      await Deno.symlink(join(beside, "words"), join(app.folder, "src", "words"));

      const child = app.spawn("dev", { host: "deno", stderr: "null" });
      const { url } = await app.info(child);
      const answer = async (): Promise<string> =>
        String(await app.call(url, "greet", []).catch((error: Error) => error.message));
      const says = (text: string): Promise<void> => until(async () => await answer() === text);
      const fails = (): Promise<void> => until(async () => /BUILD_FAILED/.test(await answer()));
      await says("d1 p1 l1 m1 r1 w1");
      await write("direct.ts", said("direct", "d2"));
      await says("d2 p1 l1 m1 r1 w1");
      await write("mapped/mapped.ts", said("mapped", "p2"));
      await says("d2 p2 l1 m1 r1 w1");
      await write("linked/mod.ts", said("linked", "l2"));
      await says("d2 p2 l2 m1 r1 w1");
      await Deno.writeTextFile(join(app.folder, "member", "mod.ts"), said("member", "m2"));
      await says("d2 p2 l2 m2 r1 w1");

      await write("real.ts", said("real", "r2"));
      await says("d2 p2 l2 m2 r2 w1");
      await write("words/word.ts", said("word", "w2"));
      await says("d2 p2 l2 m2 r2 w2");
      await write("other.ts", said("real", "r3"));
      await Deno.symlink(join(beside, "other.ts"), join(app.folder, "src", "link.ts.tmp"));
      await Deno.rename(join(app.folder, "src", "link.ts.tmp"), join(app.folder, "src", "link.ts"));
      await says("d2 p2 l2 m2 r3 w2");
      await write("other.ts", said("real", "r4"));
      await says("d2 p2 l2 m2 r4 w2");

      await Deno.remove(join(beside, "direct.ts"));
      await fails();
      await write("direct.ts", said("direct", "d3"));
      await says("d3 p2 l2 m2 r4 w2");
      await Deno.rename(join(beside, "mapped"), join(beside, "away"));
      await fails();
      await Deno.rename(join(beside, "away"), join(beside, "mapped"));
      await says("d3 p2 l2 m2 r4 w2");
      await Deno.remove(join(beside, "mapped"), { recursive: true });
      await fails();
      await write("mapped/mapped.ts", said("mapped", "p3"));
      await says("d3 p3 l2 m2 r4 w2");
      await write("mapped/mapped.ts", said("mapped", "p4"));
      await says("d3 p4 l2 m2 r4 w2");
      child.kill("SIGTERM");
      assert.equal((await child.status).code, 0);
      await app.quiet();
    } finally {
      await Deno.remove(beside, { recursive: true });
    }
  },
);

/** A test with a folder, what follows files in it, and how many signs that has given. */
function followed(
  work: (folder: string, files: OutsideFiles, signs: () => number) => Promise<void>,
): () => Promise<void> {
  return async () => {
    const folder = await Deno.makeTempDir();
    try {
      let signs = 0;
      using files = new OutsideFiles(() => signs++);
      await work(folder, files, () => signs);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  };
}

Deno.test(
  "a file outside that changed while the build was made counts as changed",
  options,
  followed(async (folder, files, signs) => {
    const file = join(folder, "a.ts");
    await Deno.writeTextFile(file, "1");
    files.follow([file], Date.now() + 60_000);
    assert.equal(signs(), 0);
    const other = join(folder, "sub", "b.ts");
    await Deno.mkdir(dirname(other));
    await Deno.writeTextFile(other, "1");
    files.follow([file, other], 0);
    assert.ok(signs() > 0);
  }),
);

Deno.test(
  "a link outside that was made while the build was made counts as changed, however old its target is",
  options,
  followed(async (folder, files, signs) => {
    const file = join(folder, "sub", "a.ts"), old = join(folder, "old.ts");
    await Deno.mkdir(dirname(file));
    await Deno.writeTextFile(old, "1");
    const since = (await Deno.stat(old)).mtime!.getTime() + 1;
    await until(async () => {
      await Deno.remove(file).catch(() => {});
      await Deno.symlink(old, file);
      return (await Deno.lstat(file)).mtime!.getTime() >= since;
    });
    files.follow([file], since);
    assert.equal(signs(), 1);
  }),
);
