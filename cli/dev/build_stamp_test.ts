import assert from "node:assert/strict";
import { join } from "node:path";
import { parseSecrets } from "../../_internal/keys.ts";
import { deriveServerKeys } from "../../protocol/server_keys.ts";
import { TemporaryApp } from "../testing/temporary_app.ts";
import { openAppFolder } from "./app_folder.ts";
import { buildApp } from "./build_app.ts";
import { stampBuild, unchangedBuild } from "./build_stamp.ts";
import { newSecret } from "./secret.ts";

const options = { sanitizeOps: false, sanitizeResources: false };

Deno.test(
  "a build is used again only while nothing it was made from has changed",
  options,
  async () => {
    await using temporary = await TemporaryApp.create([]);
    const app = await openAppFolder(temporary.folder);
    const secrets = parseSecrets(newSecret());
    const { pins } = await deriveServerKeys(secrets);
    const purpose = { hosts: ["deno"] as const, pins };
    const built = await buildApp(app, secrets, purpose.hosts);
    await stampBuild(app, purpose, Date.now() + 1);
    assert.deepEqual(
      await unchangedBuild(app, purpose),
      JSON.parse(JSON.stringify(built.manifest)),
    );

    assert.equal(await unchangedBuild(app, { ...purpose, hosts: ["workers"] }), null);
    assert.equal(await unchangedBuild(app, { ...purpose, pins: ["other"] }), null);

    const added = join(app.root, "src", "more.ts");
    await Deno.writeTextFile(added, "export const more = 1;\n");
    assert.equal(await unchangedBuild(app, purpose), null);
    await Deno.remove(added);
    assert.notEqual(await unchangedBuild(app, purpose), null);

    const output = join(app.dist, "deno", "server.js");
    const text = await Deno.readTextFile(output);
    await Deno.remove(output);
    assert.equal(await unchangedBuild(app, purpose), null);
    await Deno.writeTextFile(output, `${text}\n`);
    assert.equal(await unchangedBuild(app, purpose), null);
  },
);

Deno.test(
  "a source that changed while it was being built is not taken for built",
  options,
  async () => {
    await using temporary = await TemporaryApp.create([]);
    const app = await openAppFolder(temporary.folder);
    const secrets = parseSecrets(newSecret());
    const { pins } = await deriveServerKeys(secrets);
    const purpose = { hosts: ["deno"] as const, pins };
    await buildApp(app, secrets, purpose.hosts);
    const source = await Deno.stat(join(app.root, "src", "notes.ts"));
    await stampBuild(app, purpose, source.mtime!.getTime());
    assert.equal(await unchangedBuild(app, purpose), null);
  },
);
