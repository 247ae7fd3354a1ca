/**
 * Names of hosts in code that runs where they are not: `Deno`, `process`, `Buffer` in the client, and `Deno`
 * on Workers. To TypeScript they are there, since one program checks all sides.
 *
 * A module that asks first (`typeof Deno`, `typeof document`) may be on several sides and is let through.
 *
 * @module
 */
import ts from "typescript";
import { isExpressionType } from "./value_imports.ts";
import type { Reporter } from "./source_place.ts";

const NAMES: ReadonlyMap<string, string> = new Map([
  ["Deno", "Read it in a backend function and return what the client may know."],
  ["process", "Read it in a backend function and return what the client may know."],
  ["Buffer", "Use Uint8Array, with TextEncoder and TextDecoder for texts."],
  ["require", "Use import."],
  ["__dirname", "Use import.meta.url."],
  ["__filename", "Use import.meta.url."],
]);
const ANY = new RegExp(`\\b(?:${[...NAMES.keys()].join("|")})\\b`);
const GLOBALS: ReadonlySet<string> = new Set(["globalThis", "window", "self"]);

/** Reports what a module of the client takes from a host that is no browser. */
export function checkClientGlobals(
  source: ts.SourceFile,
  checker: ts.TypeChecker,
  reporter: Reporter,
): void {
  for (const node of ANY.test(source.text) ? usesIn(source, checker) : []) {
    const instead = NAMES.get(node.text)!;
    reporter.error(
      "KT5003",
      node,
      `'${node.text}' does not exist in a browser, and this module is part of the client.`,
      `${instead} Code for both sides asks first: typeof ${node.text} !== "undefined".`,
    );
  }
}

/** Warns of what a module of the server takes from Deno, in an app that is built for Workers. */
export function checkWorkersGlobals(
  source: ts.SourceFile,
  checker: ts.TypeChecker,
  reporter: Reporter,
): void {
  for (const node of /\bDeno\b/.test(source.text) ? usesIn(source, checker) : []) {
    if (node.text !== "Deno") continue;
    reporter.warning(
      "KT5003",
      node,
      "'Deno' does not exist on Workers, for which this app is built: what needs it fails there.",
      'A setting comes from secret("NAME"). Code for Deno alone asks first: typeof Deno !== "undefined".',
    );
  }
}

function usesIn(source: ts.SourceFile, checker: ts.TypeChecker): readonly ts.Identifier[] {
  const found: ts.Identifier[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isTypeNode(node) && !isExpressionType(node)) return;
    if (ts.isIdentifier(node) && isUse(node, checker) && !asksFor(node.text, source)) {
      found.push(node);
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  return found;
}

/** True for the global of a host, used in a way that fails without it. */
function isUse(node: ts.Identifier, checker: ts.TypeChecker): boolean {
  if (!NAMES.has(node.text)) return false;
  const { parent } = node;
  if (ts.isPropertyAccessExpression(parent) && parent.name === node) {
    const { parent: whole } = parent;
    return ts.isIdentifier(parent.expression) && GLOBALS.has(parent.expression.text) &&
      ts.isPropertyAccessExpression(whole) && whole.expression === parent &&
      whole.questionDotToken === undefined;
  }
  if (isNameOfAnother(node) || isNodeEnv(node)) return false;
  const symbol = checker.getSymbolAtLocation(node);
  return symbol === undefined ||
    (symbol.declarations ?? []).every((one) => one.getSourceFile().isDeclarationFile);
}

/** True for a name that something of a library has: `import { Buffer as Bytes }`, `{ process: own }`. */
function isNameOfAnother(node: ts.Identifier): boolean {
  const { parent } = node;
  return ts.isImportSpecifier(parent) || ts.isExportSpecifier(parent) ||
    ts.isBindingElement(parent) && parent.initializer !== node || ts.isJsxAttribute(parent) ||
    ts.isPropertyAssignment(parent) && parent.name === node;
}

/** True for `process` in `process.env.NODE_ENV`: the bundler puts the value in its place. */
export function isNodeEnv(node: ts.Node): boolean {
  return /^process(?:\?\.|\.)env(?:\??\.NODE_ENV\b|(?:\?\.)?\[["']NODE_ENV["']\])/
    .test(node.parent.parent.getText());
}

/** Code that asks for a page (`typeof document`) runs on both sides too. */
function asksFor(name: string, source: ts.SourceFile): boolean {
  return new RegExp(
    `\\btypeof\\s+(?:globalThis\\.)?(?:${name}|window|document)\\b|["']${name}["']\\s+in\\b`,
  ).test(source.text);
}
