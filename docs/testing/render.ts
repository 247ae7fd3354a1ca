/**
 * Renders Markdown as this site does and reports what Vue would act on. Runs under `docs/deno.json`, which
 * has VitePress; reads `[{ path, text }]` from stdin, writes `[{ path, found }]`.
 *
 * @module
 */

/** The part of VitePress and Vue that is used; not literal specifiers, see `.vitepress/config.ts`. */
interface Tools {
  createMarkdownRenderer(folder: string): Promise<{ render(text: string, env: object): string }>;
  parse(source: string): {
    readonly errors: readonly unknown[];
    readonly descriptor: {
      readonly template: { readonly ast?: unknown } | null;
      readonly script: unknown;
      readonly scriptSetup: unknown;
      readonly styles: readonly unknown[];
      readonly customBlocks: readonly unknown[];
    };
  };
}

const TOOLS = ["vitepress", "vue/compiler-sfc"];
const loaded = await Promise.all(TOOLS.map((name) => import(name)));
const { createMarkdownRenderer, parse } = Object.assign({}, ...loaded) as Tools;

/** Node types of Vue's template syntax tree. */
const NodeTypes = { ELEMENT: 1, INTERPOLATION: 5, DIRECTIVE: 7 } as const;

interface Page {
  readonly path: string;
  readonly text: string;
}

/** Elements that the renderer itself makes of plain Markdown. */
const ELEMENTS: ReadonlySet<string> = new Set(
  "h1 h2 h3 p a ul ol li strong em code pre div span button table thead tbody tr th td br s"
    .split(" "),
);

/** Attributes that it gives them. */
const ATTRIBUTE = /^(?:id|class|href|target|rel|title|tabindex|style|start|aria-label)$/;

interface Node {
  readonly type: number;
  readonly tag?: string;
  readonly props?: readonly {
    readonly type: number;
    readonly name: string;
    readonly value?: { readonly content: string };
  }[];
  readonly children?: readonly Node[];
  readonly loc: { readonly source: string };
}

/** What Vue or a browser would act on, in words. */
function actions(node: Node, verbatim: boolean): string[] {
  if (node.type === NodeTypes.INTERPOLATION) {
    return verbatim ? [] : [`interpolation ${node.loc.source}`];
  }
  const found: string[] = [];
  let quiet = verbatim;
  if (node.type === NodeTypes.ELEMENT) {
    if (!ELEMENTS.has(node.tag ?? "")) found.push(`element <${node.tag}>`);
    for (const prop of node.props ?? []) {
      const directive = prop.type === NodeTypes.DIRECTIVE;
      if (directive && prop.name === "pre") quiet = true;
      else if (
        directive || (prop.name !== "v-pre" && !ATTRIBUTE.test(prop.name))
      ) {
        found.push(`attribute ${prop.name} of <${node.tag}>`);
      }
      if (prop.name === "v-pre") quiet = true;
      if (
        prop.name === "href" &&
        !/^(?:#|\.{1,2}\/|https?:)/.test(prop.value?.content ?? "")
      ) {
        found.push(`link to ${prop.value?.content}`);
      }
    }
  }
  return [
    ...found,
    ...(node.children ?? []).flatMap((child) => actions(child, quiet)),
  ];
}

const pages = JSON.parse(
  await new Response(Deno.stdin.readable).text(),
) as readonly Page[];
const markdown = await createMarkdownRenderer(
  new URL("../", import.meta.url).pathname,
);
const reports: { path: string; found: readonly string[] }[] = [];
for (const { path, text } of pages) {
  const env: { sfcBlocks?: { scripts?: unknown[]; styles?: unknown[] } } = {};
  const html = markdown.render(text, env);
  const { descriptor, errors } = parse(`<template>${html}</template>`);
  const root = descriptor.template?.ast as unknown as Node | undefined;
  const more = descriptor.script !== null || descriptor.scriptSetup !== null ||
    descriptor.styles.length + descriptor.customBlocks.length > 0 ||
    (env.sfcBlocks?.scripts ?? []).length > 0 ||
    (env.sfcBlocks?.styles ?? []).length > 0;
  reports.push({
    path,
    found: root === undefined || more || errors.length > 0
      ? ["a template that ends early"]
      : root.children?.flatMap((child) => actions(child, false)) ?? [],
  });
}
console.log(JSON.stringify(reports));
