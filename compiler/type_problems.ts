/**
 * What TypeScript finds wrong with an app, as diagnostics.
 *
 * TypeScript's words are kept, and where it cannot know what to do instead, a hint is added. What it says
 * of modules that are missing and of `env.storage` is said in Kontract's words.
 *
 * @module
 */
import ts from "typescript";
import { isNodeEnv } from "./host_globals.ts";
import type { CheckCache } from "./check_cache.ts";
import type { Diagnostic } from "./diagnostic.ts";
import type { KontractSymbols } from "./kontract_symbols.ts";
import type { LostPromises } from "./lost_promises.ts";
import { meant } from "./meant.ts";
import { missingModule } from "./missing_module.ts";
import type { ModuleGraph } from "./resolve.ts";
import { topLevelCalls } from "./top_level_calls.ts";
import { placeOf } from "./source_place.ts";

/** Errors of syntax in `sources`. */
export function syntaxProblems(
  root: string,
  program: ts.Program,
  sources: readonly ts.SourceFile[],
): readonly Diagnostic[] {
  return sources.flatMap((source) => program.getSyntacticDiagnostics(source))
    .map((one) => ({ ...diagnosticOf(root, one), code: "KT1003" }));
}

/** What problems of types are found with. */
export interface TypeCheck {
  readonly root: string;
  readonly program: ts.Program;
  readonly graph: ModuleGraph;
  readonly kontract: KontractSymbols;
  /** Files that run on the server. */
  readonly server: ReadonlySet<string>;
  /** These, and the front end's. Of any other Deno is the host, which has Node's globals. */
  readonly built: ReadonlySet<string>;
  /** True for a file of the package. */
  readonly isKontract: (file: string) => boolean;
  readonly lost: LostPromises;
  /** Of what each file means (`file_keys.ts`). */
  readonly keys: ReadonlyMap<string, string>;
  readonly checks: CheckCache;
}

/** Errors of types in `sources`; those of a file that means what it meant are kept from the last build. */
export function typeProblems(
  check: TypeCheck,
  sources: readonly ts.SourceFile[],
): readonly Diagnostic[] {
  const { keys, checks, server, built } = check;
  const sideOf = (file: string): string => server.has(file) ? "s" : built.has(file) ? "" : "u";
  const found = sources.flatMap((source) =>
    checks.problems(
      source.fileName,
      `${keys.get(source.fileName) ?? ""}${sideOf(source.fileName)}`,
      () => problemsOf(check, source),
    )
  );
  // Said of every element, and all of them have the one reason.
  const more = new Set(
    [UNTYPED_ELEMENT, NO_JSX].flatMap((code) =>
      found.filter(({ message }) => message.startsWith(`TS${code}:`)).slice(1)
    ),
  );
  return found.filter((one) => !more.has(one));
}

/** Code of what is said of an element of JSX that has no types. */
const UNTYPED_ELEMENT = 7026;
/** Code of what is said of an element where no configuration says whose JSX it is. */
const NO_JSX = 17004;

/** Codes of what is said of a value whose type is not known: the reason is a module that is missing. */
const IMPLICIT_ANY: ReadonlySet<number> = new Set([7005, 7006, 7018, 7019, 7022, 7031, 7034]);
/** A module without types, a CommonJS package of npm for one: `any`, as to `deno check`. */
const UNTYPED_MODULE = 7016;
const MISSING_MODULE: ReadonlySet<number> = new Set([2307, 2792, 2882]);

function problemsOf(check: TypeCheck, source: ts.SourceFile): readonly Diagnostic[] {
  const found = check.program.getSemanticDiagnostics(source);
  const incomplete = found.some((one) => MISSING_MODULE.has(one.code)) ||
    !check.built.has(source.fileName) && /["']node:/.test(source.text);
  const unnamed = found.some((one) => one.code === NO_JSX);
  return [
    ...found.filter((one) => one.code !== UNTYPED_MODULE)
      .filter((one, i) => !isToldLater(one, found.slice(i + 1)))
      .filter((one) => one.code !== UNTYPED_ELEMENT || !unnamed)
      .filter((one) => !incomplete || !IMPLICIT_ANY.has(one.code))
      .filter((one) => !NO_HOST.has(one.code) || !isThere(one, source, check))
      .map((one) => ({ ...diagnosticOf(check.root, one), ...wordsFor(one, source, check) })),
    ...check.server.has(source.fileName)
      ? [
        ...check.lost.of(source),
        ...topLevelCalls(check.root, source, check.kontract, check.isKontract),
      ]
      : [],
  ];
}

/** True for a name that is declared again, which is said of each of its declarations. */
function isToldLater(one: ts.Diagnostic, later: readonly ts.Diagnostic[]): boolean {
  return one.code === 2451 &&
    later.some(({ code, messageText }) => code === 2451 && messageText === one.messageText);
}

function diagnosticOf(root: string, one: ts.Diagnostic): Diagnostic {
  const text = ts.flattenDiagnosticMessageText(one.messageText, "\n");
  return {
    code: "KT1004",
    severity: one.category === ts.DiagnosticCategory.Error ? "error" : "warning",
    message: `TS${one.code}: ${text}`,
    ...(one.file === undefined || one.start === undefined
      ? {}
      : placeOf(root, one.file, one.start, one.length ?? 1)),
  };
}

type Words = Partial<Pick<Diagnostic, "code" | "message" | "hint">>;

/** What Kontract says instead of TypeScript, or beside it. */
function wordsFor(one: ts.Diagnostic, source: ts.SourceFile, check: TypeCheck): Words {
  const node = one.start === undefined ? source : nodeAt(source, one.start);
  if (MISSING_MODULE.has(one.code) && ts.isStringLiteralLike(node)) {
    const found = check.graph.resolve(node.text, source.fileName, "types");
    const reason = found.kind === "missing" ? found.reason : undefined;
    return { code: "KT1002", ...missingModule(check.root, source.fileName, node.text, reason) };
  }
  // At the end of a file that is cut off stands the file itself, which has no parent.
  const member =
    node !== source && ts.isPropertyAccessExpression(node.parent) && node.parent.name === node
      ? node.parent
      : null;
  if (member !== null && (one.code === 2339 || one.code === 2551)) {
    const words = wordsForMember(member, check.kontract);
    if (words !== null) return words;
  }
  const hosts = HOST_GLOBALS.get(node.getText(source));
  if (hosts !== undefined && NO_HOST.has(one.code)) {
    return { message: `Cannot find name '${node.getText(source)}'.`, hint: hosts };
  }
  const name = ts.isIdentifier(node) ? node.text : "";
  if ((one.code === 2304 || one.code === 2552) && KONTRACT.has(name)) {
    return { hint: `import { ${name} } from "@kontract/kontract";` };
  }
  if (one.code === 1016) {
    return {
      hint:
        "Put it first, or make those before it required: a 'T | undefined' may be undefined too.",
    };
  }
  if (one.code === NO_JSX) {
    return {
      hint:
        'Say whose JSX it is in deno.json: "compilerOptions": { "jsx": "react-jsx", "jsxImportSource": "preact" }',
    };
  }
  const { jsxImportSource } = check.program.getCompilerOptions();
  if (one.code === UNTYPED_ELEMENT && jsxImportSource !== undefined) {
    const types = `npm:@types/${jsxImportSource.replace(/^@(.*)\//, "$1__")}`;
    return {
      hint:
        `'${jsxImportSource}' has no types of its own. Say whose they are, in compilerOptions:\n` +
        `"jsxImportSourceTypes": "${types}"\n` +
        `and above an import of it:  // @ts-types="${types}"`,
    };
  }
  // TypeScript's own remark, which stands apart from its message.
  const awaits = one.relatedInformation?.some((more) => more.code === 2773) === true ||
    member !== null && isPromiseOf(member, check.kontract.checker);
  return awaits ? { hint: AWAIT } : {};
}

/** True for a global that is there all the same: `process.env.NODE_ENV` in the front end, any outside of a build. */
function isThere(one: ts.Diagnostic, source: ts.SourceFile, check: TypeCheck): boolean {
  if (!check.built.has(source.fileName)) return true;
  return one.start !== undefined && !check.server.has(source.fileName) &&
    isNodeEnv(nodeAt(source, one.start));
}

/** Codes of what is said of a name that Node's types would declare. */
const NO_HOST: ReadonlySet<number> = new Set([2580, 2591]);

/** Globals of Node's that a host may have, and where they are on both. */
const HOST_GLOBALS: ReadonlyMap<string, string> = new Map([
  [
    "process",
    'Settings come from secret("NAME") of "@kontract/kontract"; the rest: import process from "node:process";',
  ],
  ["Buffer", 'import { Buffer } from "node:buffer";'],
  ["require", "Use import."],
]);

/** What an author may have forgotten to import: a module that is not imported at all tells no names. */
const KONTRACT: ReadonlySet<string> = new Set(
  "backend ctx defineMiddleware defineServer env index perm perms primkey secret table".split(" "),
);

const AWAIT =
  "It is a promise: write 'await' before it, and parentheses around both to use what it gives.";

/** True for a member of what a promise gives, taken of the promise. */
function isPromiseOf(
  { expression, name }: ts.PropertyAccessExpression,
  checker: ts.TypeChecker,
): boolean {
  const type = checker.getTypeAtLocation(expression);
  const awaited = checker.getAwaitedType(type);
  return awaited !== undefined && awaited !== type &&
    checker.getPropertyOfType(checker.getNonNullableType(awaited), name.text) !== undefined;
}

/** Of a member that does not exist, of an object of Kontract's. */
function wordsForMember(
  { expression, name }: ts.PropertyAccessExpression,
  kontract: KontractSymbols,
): Words | null {
  const { checker } = kontract;
  const type = checker.getTypeAtLocation(expression);
  const symbol = type.aliasSymbol ?? type.getSymbol();
  const owner = symbol === undefined ? null : kontract.nameOfSymbol(symbol);
  const members = checker.getPropertiesOfType(type).map((one) => one.name)
    .filter((one) => !one.startsWith("__@"));
  const close = (names: readonly string[]): string => {
    const own = meant(name.text, names);
    return own === null ? "" : `Did you mean '${own}'? `;
  };
  if (owner === "EnvStorage") {
    const tables = members.filter((one) => one !== "exec" && one !== "transaction").sort();
    return {
      code: "KT4006",
      message: `There is no table '${name.text}'.`,
      hint: tables.length === 0
        ? `Declare it: @table("${name.text}") export class … { @primkey id!: string; … }`
        : `${close(tables)}Tables of this app: ${tables.join(", ")}.`,
    };
  }
  if (owner === "Table") {
    return {
      message: `A table has no '${name.text}'.`,
      hint: `${close(members)}A table has: ${members.join(", ")}.`,
    };
  }
  const receiver = ts.isPropertyAccessExpression(expression) ? expression.name : expression;
  if (kontract.nameOf(receiver) !== "perms") return null;
  return {
    message: `There is no 'perms.${name.text}'.`,
    hint: `${
      close(members)
    }A name has R (read), W (write) and X (delete) in this order, and '_' for what is missing: ${
      members.map((one) => `perms.${one}`).join(", ")
    }.`,
  };
}

/** The innermost node that begins at a position. */
function nodeAt(source: ts.SourceFile, position: number): ts.Node {
  let found: ts.Node = source;
  const visit = (node: ts.Node): void => {
    if (position < node.getFullStart() || position >= node.getEnd()) return;
    found = node;
    ts.forEachChild(node, visit);
  };
  ts.forEachChild(source, visit);
  return found;
}
