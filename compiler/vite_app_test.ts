/** What Vite's edits make an app look at. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { makeApp } from "./testing/app.ts";
import { ViteApp } from "./vite_app.ts";

Deno.test("under Vite pages are looked for where one may have come or gone, and at no other edit", async () => {
  await using made = await makeApp({
    "src/routes.ts": `import { backend } from "@kontract/kontract";
export const first = backend({}, () => Promise.resolve(1));
`,
    "index.html": `<script type="module" src="./main.ts"></script>\n`,
    "main.ts": "console.log(1);\n",
    "pages/deep/er/logo.svg": "<svg></svg>",
  });
  const app = new ViteApp({ root: made.root, pins: () => Promise.resolve([]) });
  app.setRoot(made.root, []);
  assert.equal(await app.begin(), "");
  const { readDirSync } = Deno;
  let looked = 0;
  Deno.readDirSync = (path) => {
    if (String(path).endsWith("deep/er")) looked++;
    return readDirSync(path);
  };
  try {
    assert.equal(await app.edited(join(made.root, "src/routes.ts")), "");
    assert.equal(looked, 0);
    const script = join(made.root, "pages/deep/other.ts");
    await made.write("pages/deep/other.ts", "console.log(2);\n");
    await made.write("pages/deep/page.html", `<script type="module" src="./other.ts"></script>\n`);
    app.changed(join(made.root, "pages/deep/page.html"));
    assert.equal(await app.refresh(), "");
    assert.equal(looked, 1);
    assert.ok(app.graph?.knows(script));
    await made.write("pages/deep/page.html", null);
    app.changed(join(made.root, "pages/deep/page.html"));
    assert.equal(await app.refresh(), "");
    assert.ok(!app.graph?.knows(script));
  } finally {
    Deno.readDirSync = readDirSync;
  }
});
