/**
 * Doc comments that try to do something to the site they are shown on.
 *
 * @module
 */
import type { Manifest, RouteMeta } from "../../_internal/manifest.ts";

/** By what each one tries. */
export const HOSTILE_COMMENTS: Readonly<Record<string, string>> = {
  "interpolation": "Shows {{ constructor.constructor('return 1')() }} and \\{\\{ 2 }} here.",
  "interpolation in code": "Shows `{{ 1 + 1 }}` and ``a {{ 2 }} ` b`` here.",
  "interpolation in indented code": "Text\n\n        {{ 1 + 1 }}\n\tmore {{ 2 }}",
  "script": "<script>alert(1)</script><script setup>import '/etc/passwd'</script>",
  "HTML block": '<div v-html="1">\n\n<style>*{}</style>\n\n</div>\n\n</code></pre><b>',
  "HTML that is cut": "<img src=x onerror=alert(1) \n <a href='javascript:alert(1)'>x</a",
  "file inclusion": "<!--@include: ./secret.md-->\n`<!--@include: ./a.md-->`",
  "file inclusion in code": "@example\n```ts\n<!--@include: ../../deno.json-->\n```",
  "snippet": "<<< ./secret.ts\n\n<<< @/secret.ts{1}",
  "attributes": 'Text {onclick=alert(1)}\n\n- item {.red #id @click="x"}\n\n*em*{style=x}',
  "dead link": "[a](./nowhere.md) [b](/nowhere) [c][ref] [d]()\n\n[ref]: ./nowhere.md",
  "script link": "[a](javascript:alert(1)) [b](data:text/html,x) <javascript:alert(1)>",
  "link that breaks out": '[a](https://x.example/)onmouseover="x") [b](https://x/`{{ 1 }}`)',
  "image": "![a](./nowhere.png) ![b](https://tracker.example/x.png)",
  "container": "::: danger\nhostile\n:::\n\n:::: v-pre\n::::",
  "headings": "# hostile\n\nhostile\n===\n\nhostile\n---\n\n--- \n***",
  "unclosed fence": "```ts\n{{ 1 }}\nand no end",
  "fence of tildes": "~~~ts {{ 1 }}\n{{ 2 }}\n~~~\n{{ 3 }}",
  "tags": "@param p {{ 1 }} <b>\n@returns <i> | x\n@throws {E<script>} <x>\n@see {@link {{ 4 }}}",
  "example title": "@example <script>{{ 1 }}\n```ts\n1\n```",
  "caption": "@example <caption>{{ 1 }}<b></caption>\nf();",
  "table break": "a | b | c\n|---|---|\n| x | y |",
  "table of contents": "[[toc]]\n\n> [!CAUTION]\n> hostile",
  "control characters": "a\u0000b\u0007c\u202Ed\u2066e\u2028f\r\ng\rh",
  "entities": "&lt;script&gt; &#123;&#123; 1 }} &amp;lt;",
};

const META: RouteMeta = {
  ugroup: "g|<b>{{ 1 }}",
  session: "required",
  perm: 7,
  egroup: "g",
  grants: { "t.f": 6 },
  readOnly: false,
  retry: 8,
  timeout: 15_000,
  rateLimit: null,
  http: { method: "GET", path: "/x/{id}" },
  cache: null,
};

/** A manifest with `comment` wherever a doc comment can stand. */
export function hostileManifest(comment = "Fine."): Manifest {
  const source = { file: "src/a {{ 1 }}.ts", line: 1, column: 1 };
  return {
    version: 1,
    app: "<!--@include: x--> {{ 1 }}",
    build: "0",
    routes: [{
      name: "f$_x",
      op: 1000,
      module: source.file,
      export: { className: null, name: "f$_x" },
      meta: META,
      parameters: [{
        name: "p",
        shape: { kind: "literal", value: "`{{ 1 }}` <b> | \n" },
        optional: false,
        rest: false,
        doc: comment,
      }],
      result: { kind: "ref", name: "T" },
      throws: ["<b>{{ 1 }}"],
      middleware: ["{{ 1 }}"],
      schemaHash: "",
      doc: comment,
      source,
    }],
    errors: [],
    tables: [{
      name: "t",
      className: "T",
      primkey: "id",
      perm: 7,
      rows: "all",
      fields: [
        { name: "id", shape: { kind: "string" }, optional: false, perm: 7, doc: comment },
        {
          name: "f",
          shape: { kind: "string" },
          optional: false,
          default: "{{ 1 }}`<b>`|",
          perm: 4,
          doc: comment,
        },
      ],
      indexes: [{ fields: ["f", "id"], unique: true, oracle: false }],
      doc: comment,
      source,
    }],
    execs: [],
    types: {
      T: {
        kind: "object",
        fields: [{ name: "f", id: 0, shape: { kind: "string" }, optional: false, doc: comment }],
      },
      "_odd__name": { kind: "string" },
    },
  };
}
