import assert from "node:assert/strict";
import { makeRunFolder, removeLeftFolders } from "./run_folder.ts";

const RUN = `import { makeRunFolder } from "${import.meta.resolve("./run_folder.ts")}";
const { path } = await makeRunFolder(Deno.args[0]);
await Deno.mkdir(path + "/database");
console.log(path);
setInterval(() => {}, 1000);
`;

async function exists(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, () => false);
}

Deno.test({
  name:
    "what a killed run has left is taken away by the next one, the folder of a run that lasts is not",
  ignore: Deno.build.os === "windows",
  async fn() {
    const parent = await Deno.makeTempDir();
    const strange = `${parent}/kontract_tests_of_somebody_else`;
    await Deno.mkdir(strange);
    const first = await makeRunFolder(parent);
    const child = new Deno.Command(Deno.execPath(), {
      args: ["eval", RUN, parent],
      stdout: "piped",
    }).spawn();
    let left = "";
    for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
      left += text;
      if (left.endsWith("\n")) break;
    }
    const second = await makeRunFolder(parent);
    await removeLeftFolders(parent);
    assert.ok(await exists(`${left.trim()}/database`));
    child.kill("SIGKILL");
    await child.status;
    await removeLeftFolders(parent);
    assert.equal(await exists(left.trim()), false);
    for (const { path } of [first, second]) assert.ok(await exists(path));
    for (const folder of [first, second]) await folder.remove();
    assert.deepEqual((await Array.fromAsync(Deno.readDir(parent))).map(({ name }) => name), [
      "kontract_tests_of_somebody_else",
    ]);
    await Deno.remove(parent, { recursive: true });
  },
});
