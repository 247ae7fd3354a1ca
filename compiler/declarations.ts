/**
 * What an app declares, found out again only where a module's outline (`outline.ts`), the lock or something
 * outside of the app's sources changed. Of any other edit only the places in the sources move.
 *
 * @module
 */
import { join, sep } from "node:path";
import type ts from "typescript";
import type { Manifest, SourceSpan } from "../_internal/manifest.ts";
import type { AppGraph } from "./app_graph.ts";
import { checkBoundary } from "./boundary.ts";
import { type Diagnostics, placeInText } from "./diagnostic.ts";
import { digest } from "./digest.ts";
import { discover, type Discovery } from "./discover.ts";
import { kontractSymbols } from "./kontract_symbols.ts";
import {
  EMPTY_LOCK,
  formatLock,
  Lock,
  LOCK_NAME,
  LockError,
  type LockFile,
  parseLock,
} from "./lock.ts";
import { Lowering } from "./lower/mod.ts";
import { makeManifest } from "./manifest.ts";
import { movedSpan, outlineOf } from "./outline.ts";
import { versionOf } from "./program.ts";
import { appPath } from "./project.ts";
import { SERVER_MODULE } from "./server_definition.ts";
import { Reporter } from "./source_place.ts";

/** Parts of a discovery that outlive its program. */
export type AppModules = Pick<Discovery, "middleware" | "modules" | "server">;

/** What an app declares. */
export interface Declared {
  /** Still without the build's hash. */
  readonly manifest: Omit<Manifest, "build">;
  /** Equal for manifests that generated code says the same of: see {@link withoutPlaces}. */
  readonly meaning: string;
  readonly discovery: AppModules;
  /** Modules of the front end's graph, absolute. */
  readonly client: ReadonlySet<string>;
  readonly lock: LockFile;
  readonly lockChanged: boolean;
  /** Routes that the lock did not have before. */
  readonly newRoutes: readonly string[];
}

/** What declarations are read from. */
export interface DeclarationInput {
  readonly app: AppGraph;
  readonly program: ts.Program;
  /** The app's own modules. */
  readonly own: readonly ts.SourceFile[];
  /** Text of the lock file, or null where there is none. */
  readonly lockText: string | null;
  /** Routes that the running process added to the lock; see {@link Lock}. */
  readonly freshRoutes: ReadonlySet<string> | undefined;
  readonly diagnostics: Diagnostics;
  readonly time: <T>(stage: string, work: () => T) => T;
}

interface Kept extends Declared {
  /** Of what it was read from. */
  readonly key: string;
  readonly sources: ReadonlyMap<string, ts.SourceFile>;
}

/** The last declarations of one app. Owned by one builder. */
export class Declarations {
  #kept: Kept | null = null;
  /** The lock that the last build ended with: most often it is what the file says by now. */
  #lock: LockFile | null = null;

  /** What the app declares now. */
  of(input: DeclarationInput): Declared {
    const sources = new Map(input.own.map((source) => [source.fileName, source]));
    const outlines = outlineKeys(input);
    const kept = this.#kept;
    this.#kept = null;
    if (kept !== null && kept.key === keyOf(outlines, input.lockText)) {
      const changed = input.own.filter((source) => kept.sources.get(source.fileName) !== source);
      const inlined = new Set(kept.discovery.middleware.map((one) => one.file));
      if (!changed.some((source) => inlined.has(source.fileName))) {
        this.#kept = { ...moved(kept, changed, input.app.project.root), sources };
        return this.#kept;
      }
    }
    const before = input.diagnostics.added;
    const found = declare(input, readLock(input, this.#lock));
    this.#lock = found.lock;
    if (input.diagnostics.added === before) {
      // What the lock has by then, the next build finds there.
      const lockText = found.lockChanged ? formatLock(found.lock) : input.lockText;
      const key = keyOf(outlines, lockText);
      this.#kept = { ...found, lockChanged: false, newRoutes: [], key, sources };
    }
    return found;
  }
}

function keyOf(outlines: string, lockText: string | null): string {
  return digest([outlines, lockText ?? ""], 32);
}

function outlineKeys({ app, program, own }: DeclarationInput): string {
  const outlined = new Set(
    own.filter((source) => source.fileName.startsWith(app.project.source + sep)),
  );
  return digest([
    app.project.name,
    ...program.getSourceFiles().flatMap((source) => [
      source.fileName,
      outlined.has(source) ? outlineOf(source).key : versionOf(source),
    ]),
  ], 32);
}

function moved(kept: Kept, changed: readonly ts.SourceFile[], root: string): Kept {
  if (changed.length === 0) return kept;
  const fresh = new Map(changed.map((source) => [appPath({ root }, source.fileName), source]));
  const move = <V extends { readonly source: SourceSpan }>(one: V): V => {
    const after = fresh.get(one.source.file);
    const before = after === undefined ? undefined : kept.sources.get(after.fileName);
    if (after === undefined || before === undefined) return one;
    return { ...one, source: movedSpan(one.source, before, after) };
  };
  const { routes, tables, errors, execs } = kept.manifest;
  const manifest = {
    ...kept.manifest,
    routes: routes.map(move),
    tables: tables.map(move),
    errors: errors.map(move),
    execs: execs.map(move),
  };
  const same = manifest.execs.every((exec, i) => exec === execs[i]);
  return { ...kept, manifest, meaning: same ? kept.meaning : meaningOf(manifest) };
}

function declare(input: DeclarationInput, lockFile: LockFile): Declared {
  const { program, own, time } = input;
  const { project, graph, webScripts, entry } = input.app;
  const reporter = new Reporter(project.root, input.diagnostics);
  const kontract = kontractSymbols(program, entry);
  const discovery = time(
    "discover",
    () => discover(own, kontract, reporter, join(project.source, SERVER_MODULE)),
  );
  const lock = new Lock(lockFile, input.freshRoutes);
  const tables = new Set(discovery.tables.map((table) => table.symbol));
  const lowering = new Lowering({ program, kontract, lock, reporter, tables });
  const execLock = new Lock(EMPTY_LOCK);
  const execLowering = new Lowering({ program, kontract, lock: execLock, reporter, tables });
  const { name: app, root } = project;
  const manifest = time(
    "lower",
    () => makeManifest({ app, root, discovery, lowering, execLowering, lock, reporter }),
  );
  const client = checkBoundary(webScripts, {
    program,
    graph,
    modules: discovery.modules,
    routes: manifest.routes,
    errors: new Set(discovery.errors.map((error) => error.symbol)),
    reporter,
  });
  reportVanished(lock, discovery.refused, input);
  const { middleware, modules, server } = discovery;
  const next = lock.finish();
  return {
    manifest,
    meaning: meaningOf(manifest),
    discovery: { middleware, modules, server },
    client,
    lock: next,
    lockChanged: formatLock(next) !== input.lockText && formatLock(next) !== formatLock(lockFile),
    newRoutes: manifest.routes.map(({ name }) => name)
      .filter((name) => !Object.hasOwn(lockFile.routes, name)),
  };
}

function readLock({ lockText, diagnostics }: DeclarationInput, known: LockFile | null): LockFile {
  if (lockText === null) return EMPTY_LOCK;
  if (known !== null && formatLock(known) === lockText) return known;
  try {
    return parseLock(lockText);
  } catch (error) {
    if (!(error instanceof LockError)) throw error;
    diagnostics.add({
      code: "KT1005",
      severity: "error",
      message: `${LOCK_NAME} cannot be used: ${error.message}.`,
      hint: error.hint,
    });
    return EMPTY_LOCK;
  }
}

/** Those that were refused are told about where they stand. */
function reportVanished(
  lock: Lock,
  refused: ReadonlySet<string>,
  { lockText, diagnostics }: DeclarationInput,
): void {
  const text = lockText ?? "";
  for (const name of lock.vanished()) {
    if (refused.has(name)) continue;
    const entry = new RegExp(`${RegExp.escape(JSON.stringify(name))}(?=\\s*:\\s*\\d)`).exec(text);
    diagnostics.add({
      code: "KT2007",
      severity: "error",
      message: `The backend function '${name}' is in ${LOCK_NAME}, but not in the source any more.`,
      hint: `If its decorator got lost, put it back. Otherwise:\n` +
        `kontract routes remove ${name}          it is gone for good\n` +
        `kontract routes rename ${name} <new>    it has another name now`,
      ...(entry === null ? {} : placeInText(LOCK_NAME, text, entry.index, entry[0].length)),
    });
  }
}

function meaningOf(manifest: Omit<Manifest, "build">): string {
  return digest([JSON.stringify(withoutPlaces(manifest))], 32);
}

/** The manifest without places in the sources that generated code does not tell; it tells those of queries. */
export function withoutPlaces<M extends Omit<Manifest, "build">>(manifest: M): M {
  const source = { file: "", line: 0, column: 0 };
  return {
    ...manifest,
    routes: manifest.routes.map((one) => ({ ...one, source })),
    tables: manifest.tables.map((one) => ({ ...one, source })),
    errors: manifest.errors.map((one) => ({ ...one, source })),
  };
}
