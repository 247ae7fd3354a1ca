/**
 * The page of one endpoint group: each function with its signature, its words and its conditions.
 *
 * @module
 */
import type { Manifest, RouteDef } from "../../_internal/manifest.ts";
import { isFollowed, parameterList, resultText } from "../emit/client.ts";
import { reachableTypes } from "../emit/reachable.ts";
import { typeText } from "../emit/type_text.ts";
import { type DocComment, parseDocComment } from "./doc_comment.ts";
import { cell, code, codeBlock, plain, prose, tableOf } from "./markdown.ts";
import { bitsText, callers } from "./permissions.ts";
import { anchorOf, type CookbookPage, type GroupPage, typeLink } from "./places.ts";

const UP = "../";

/** `functions/<group>.md`. */
export function functionPage(manifest: Manifest, group: GroupPage): CookbookPage {
  return {
    path: group.path,
    title: group.title,
    lines: [
      // No function's name has a dash: a group may be called like one of its functions.
      `# ${plain(group.title)} {#this-group}`,
      "",
      ...group.routes.flatMap((route) => functionSection(route, manifest)),
    ],
  };
}

function functionSection(route: RouteDef, manifest: Manifest): string[] {
  const doc = parseDocComment(route.doc);
  return [
    `## ${plain(route.name)} {#${anchorOf(route.name)}}`,
    "",
    ...deprecation(doc),
    ...block(prose(doc.text)),
    ...codeBlock(`${route.name}(${parameterList(route)}): ${resultText(route.result)}`, "ts"),
    "",
    ...parameters(route, doc),
    ...result(route, doc),
    ...throwsList(route, doc),
    ...examples(doc),
    ...conditions(route),
    ...footer(route, doc, manifest),
  ];
}

function block(lines: readonly string[]): string[] {
  const first = lines.findIndex((line) => line !== "");
  const last = lines.findLastIndex((line) => line !== "");
  return first === -1 ? [] : [...lines.slice(first, last + 1), ""];
}

function deprecation({ deprecated }: DocComment): string[] {
  if (deprecated === null) return [];
  return [`**Deprecated.** ${cell(deprecated)}`.trimEnd(), ""];
}

function parameters(route: RouteDef, doc: DocComment): string[] {
  return tableOf(
    ["parameter", "type", "meaning"],
    route.parameters.map((parameter) => [
      code(parameter.name) + (parameter.optional ? " (optional)" : parameter.rest ? " (rest)" : ""),
      code(typeText(parameter.shape)),
      cell(doc.params.get(parameter.name) ?? parameter.doc ?? ""),
    ]),
  );
}

function result(route: RouteDef, { returns }: DocComment): string[] {
  const type = code(resultText(route.result));
  return [`**Returns** ${type}${returns === "" ? "" : `: ${cell(returns)}`}`, ""];
}

function throwsList(route: RouteDef, { throws }: DocComment): string[] {
  const named = new Set(throws.map((one) => one.type));
  const lines = [
    ...throws.map(({ type, text }) =>
      `- ${[type === "" ? "" : code(type), cell(text)].filter((part) => part !== "").join(": ")}`
    ),
    ...route.throws.filter((name) => !named.has(name)).map((name) => `- ${code(name)}`),
  ].filter((line) => line !== "- ");
  return lines.length === 0 ? [] : ["**Throws**", "", ...lines, ""];
}

function examples(doc: DocComment): string[] {
  return doc.examples.flatMap(({ title, body }) => [
    `**Example**${title === "" ? "" : `: ${cell(title)}`}`,
    "",
    ...block(prose(body)),
  ]);
}

function conditions(route: RouteDef): string[] {
  const { name, meta, middleware } = route;
  const address = `POST /rpc/${name}`;
  const grants = Object.entries(meta.grants);
  const rows: (readonly [string, string])[] = [
    ["callers", callers(route)],
    ["bits", code(bitsText(meta.readOnly ? meta.perm & 4 : meta.perm))],
    ["writes", meta.readOnly ? "no, read-only" : `yes; ${conflicts(route)}`],
    ["deadline", milliseconds(meta.timeout)],
  ];
  if (isFollowed(route)) rows.push(["live", code(`client.live(${name}, …)`)]);
  if (grants.length > 0) {
    rows.push(["grants", grants.map(([key, bits]) => code(`${key} ${bitsText(bits)}`)).join(", ")]);
  }
  if (meta.rateLimit !== null) {
    const { limit, windowMs } = meta.rateLimit;
    rows.push(["rate limit", `${limit} calls in ${milliseconds(windowMs)}, per session`]);
  }
  if (middleware.length > 0) {
    rows.push(["middleware", `${middleware.map(code).join(", ")}, outermost first`]);
  }
  const { http } = meta;
  if (http !== null) rows.push(["REST address", code(`${http.method} ${http.path}`)]);
  if (!takesStream(route)) rows.push(["plain HTTP", code(address)]);
  return tableOf(["condition", ""], rows);
}

/** Plain requests carry no streamed argument. */
function takesStream({ parameters }: RouteDef): boolean {
  return parameters.some(({ shape }) => shape.kind === "stream");
}

/** A stream is never run again: what was sent or read cannot be taken back. */
function conflicts(route: RouteDef): string {
  const { meta, result } = route;
  const times = result.kind === "stream" || takesStream(route) ? 0 : meta.retry;
  if (times === 0) return "a conflict ends the call";
  return `run again up to ${times} ${times === 1 ? "time" : "times"} on a conflict`;
}

function milliseconds(time: number): string {
  if (time % 60_000 === 0) return `${time / 60_000} min`;
  return time % 1000 === 0 ? `${time / 1000} s` : `${time} ms`;
}

function footer(route: RouteDef, doc: DocComment, manifest: Manifest): string[] {
  const shapes = [...route.parameters.map((one) => one.shape), route.result];
  const types = Object.keys(reachableTypes(shapes, manifest.types));
  return [
    ...(types.length === 0
      ? []
      : [`Types: ${types.map((name) => typeLink(name, UP)).join(", ")}`, ""]),
    ...doc.see.flatMap((see) => [`See ${cell(see)}`, ""]),
    ...(doc.since === "" ? [] : [`Since ${cell(doc.since)}`, ""]),
    `Source: ${code(`${route.source.file}:${route.source.line}`)}, operation ${route.op}.`,
    "",
  ];
}
