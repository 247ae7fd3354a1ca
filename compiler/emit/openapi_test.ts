/** The OpenAPI document: valid by an independent validator, and saying what the gateway does. */
import assert from "node:assert/strict";
import { Validator } from "@seriousme/openapi-schema-validator";
import { build, formatDiagnostics } from "../mod.ts";
import { makeApp } from "../testing/app.ts";
import { CONDUIT, CONDUIT_OPERATIONS } from "../testing/conduit.ts";
import { schemaName } from "./json_schema.ts";

interface Operation {
  readonly operationId: string;
  readonly parameters?: readonly {
    readonly name: string;
    readonly in: string;
    readonly required: boolean;
    readonly schema: unknown;
    readonly description?: string;
  }[];
  readonly requestBody?: { readonly content: Record<string, { readonly schema: unknown }> };
  readonly responses: Readonly<Record<string, unknown>>;
}

interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, unknown>> };
}

async function documentOf(files: Readonly<Record<string, string>>): Promise<Document | null> {
  await using app = await makeApp(files);
  const result = await build({ root: app.root, hosts: ["deno"] });
  assert.equal(formatDiagnostics(result.diagnostics), "");
  const text = await app.read("dist/openapi.json").catch(() => null);
  return text === null ? null : JSON.parse(text);
}

Deno.test("the RealWorld API can be said with http, and its document is valid OpenAPI 3.1", async () => {
  const document = await documentOf(CONDUIT);
  assert.ok(document !== null);
  const validator = new Validator();
  const { valid, errors } = await validator.validate(structuredClone(document) as never);
  assert.deepEqual(errors, undefined);
  assert.equal(valid, true);
  assert.equal(validator.version, "3.1");
  const said = Object.entries(document.paths).flatMap(([path, item]) =>
    Object.entries(item).map(([method, { parameters = [] }]) => {
      const query = parameters.filter((one) => one.in === "query").map((one) => one.name);
      return [`${method.toUpperCase()} ${path.slice("/api".length)}`, ...query].join(" ");
    })
  );
  for (const one of CONDUIT_OPERATIONS) assert.ok(said.includes(one), `${one} of ${said}`);

  const { articles } = Object.fromEntries(
    Object.values(document.paths).flatMap((item) => Object.values(item)).map((one) => [
      one.operationId,
      one,
    ]),
  );
  assert.deepEqual(articles?.parameters?.map(({ name, required }) => [name, required]), [
    ["tag", false],
    ["author", false],
    ["favorited", false],
    ["offset", false],
    ["limit", false],
  ]);
  assert.equal(articles?.parameters?.[0]?.description, "Only those with this tag.");
  const { 409: taken } = document.paths["/api/articles"]?.post?.responses ?? {};
  assert.match(JSON.stringify(taken), /"const":"TITLE_TAKEN"/);
  assert.match(JSON.stringify(taken), /The title has an article\./);
  assert.deepEqual(document.components.schemas.NewArticle, {
    type: "object",
    properties: {
      title: { type: "string" },
      body: { type: "string" },
      tagList: { type: "array", items: { type: "string" } },
    },
    required: ["title", "body"],
    additionalProperties: false,
  });
});

Deno.test("an app without plain addresses has no document", async () => {
  assert.equal(
    await documentOf({
      "src/a.ts": `import { backend } from "@kontract/kontract";
export const a = backend({}, () => Promise.resolve(1));
`,
    }),
    null,
  );
});

Deno.test("a type's name is a legal and unique name of a schema", () => {
  assert.equal(schemaName("Müller$"), "M_ufc_ller_u24_");
  assert.match(schemaName("Größe"), /^[A-Za-z0-9._-]+$/);
});

Deno.test("bytes, guests and errors of the app's own are in the document as the gateway has them", async () => {
  const document = await documentOf({
    "src/server.ts": `import { defineServer } from "@kontract/kontract";
export default defineServer({ http: { error: ({ message }) => ({ body: { message } }) } });
`,
    "src/a.ts": `import { backend, NotFoundError } from "@kontract/kontract";
export const get = backend(
  { readOnly: true, session: "optional", http: { method: "GET", path: "/a" } },
  (): Promise<Blob | null> => Promise.reject(new NotFoundError()),
);
export const put = backend(
  { session: "none", http: { method: "PUT", path: "/a", body: "bytes" } },
  async function* (bytes: Uint8Array) { yield await Promise.resolve(bytes); },
);
export const post = backend({ http: { method: "POST", path: "/a", body: "file" } }, (file: Blob) =>
  Promise.resolve(file.size));
`,
  });
  const { get, put, post } = document!.paths["/a"]! as unknown as Readonly<
    Record<string, Operation & { readonly security?: unknown }>
  >;
  assert.deepEqual([get?.security, put?.security, post?.security], [
    [{ session: [] }, {}],
    [],
    undefined,
  ]);
  const raw = { "*/*": {} };
  for (const one of [get, put]) {
    const { content } = one!.responses["2XX"] as { readonly content: unknown };
    assert.deepEqual(content, raw);
  }
  for (const one of [put, post]) assert.deepEqual(one!.requestBody?.content, raw);
  assert.deepEqual(Object.keys(get!.responses), ["2XX", "default"]);
  const { responses } = document!.components as unknown as {
    readonly responses: { readonly Error: { readonly content: unknown } };
  };
  assert.deepEqual(responses.Error.content, { "application/json": { schema: {} } });
  const { errors } = await new Validator().validate(structuredClone(document) as never);
  assert.deepEqual(errors, undefined);
});
