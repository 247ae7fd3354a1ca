/**
 * Files that a module of the client names by their place: `new URL("./worker.ts", import.meta.url)`, the
 * address of a worker.
 *
 * Our bundler follows imports. Code of a front end that nothing imports is published by nobody; Vite makes a
 * bundle of what it is told so.
 *
 * @module
 */
import { dirname, join } from "node:path";
import ts from "typescript";
import { isFile } from "./file_texts.ts";
import { appPath, type Project } from "./project.ts";
import { isLibrary } from "./shared_files.ts";
import type { Reporter } from "./source_place.ts";
import { SyntaxPick } from "./syntax_pick.ts";
import { unwrapped } from "./wrapped.ts";

/** A place that a module names. */
export interface Located {
  readonly node: ts.StringLiteralLike;
  /** Without query and fragment. */
  readonly path: string;
}

/** What a module locates beside itself. */
export function locatedIn(source: ts.SourceFile): readonly Located[] {
  if (!source.text.includes("import.meta.url")) return [];
  return URLS.of(source).flatMap((node) => {
    const [at, base] = node.arguments?.map(unwrapped) ?? [];
    return base?.getText(source) === "import.meta.url" ? located(at) : [];
  });
}

/** Reports what a module of a front end that we bundle takes for a file, and is code of the front end. */
export function checkLocatedCode(
  source: ts.SourceFile,
  project: Project,
  isServers: (file: string) => boolean,
  checker: ts.TypeChecker,
  reporter: Reporter,
): void {
  const beside = locatedIn(source).map((one) => ({ ...one, base: dirname(source.fileName) }));
  const started = /[Ww]orker\b/.test(source.text) ? WORKERS.of(source) : [];
  const onPage = started.flatMap(({ arguments: [at] = [] }) =>
    located(at).map((one) => ({ ...one, base: project.web }))
  );
  for (const { node, path, base } of [...beside, ...onPage]) {
    const file = join(path.startsWith("/") ? project.web : base, path);
    if (!CODE.test(path) || isServers(file) || !isFile(file) || isForOwn(node, checker)) continue;
    reporter.error(
      "KT7001",
      node,
      `'${appPath(project, file)}' is code, which is published in the scripts that import it: ` +
        "no browser finds it so.",
      "Workers are bundled by Vite: make the front end with '@kontract/kontract/vite'.",
    );
  }
}

/** True where what gets the place is the app's own, and only has the name of the browser's. */
function isForOwn(place: ts.Node, checker: ts.TypeChecker): boolean {
  const taker = ts.findAncestor(place, isCall);
  const declared = taker && checker.getSymbolAtLocation(taker.expression)?.declarations;
  return declared?.every((one) => !isLibrary(one.getSourceFile().fileName)) === true;
}

function isCall(node: ts.Node): node is ts.NewExpression | ts.CallExpression {
  return ts.isNewExpression(node) || ts.isCallExpression(node);
}

const CODE = /\.[cm]?[jt]sx?$/;

function located(node: ts.Expression | undefined): readonly Located[] {
  const at = node === undefined ? undefined : unwrapped(node);
  return at !== undefined && ts.isStringLiteralLike(at)
    ? [{ node: at, path: at.text.replace(/[?#].*$/, "") }]
    : [];
}

const URLS: SyntaxPick<ts.NewExpression> = new SyntaxPick((node): node is ts.NewExpression =>
  ts.isNewExpression(node) && unwrapped(node.expression).getText() === "URL"
);

const WORKERS: SyntaxPick<ts.NewExpression | ts.CallExpression> = new SyntaxPick((
  node,
): node is ts.NewExpression | ts.CallExpression => {
  if (ts.isNewExpression(node)) {
    return /^(?:(?:window|self|globalThis)\.)?(?:Shared)?Worker$/.test(node.expression.getText());
  }
  return ts.isCallExpression(node) &&
    /\bserviceWorker\??\.register$/.test(node.expression.getText());
});
