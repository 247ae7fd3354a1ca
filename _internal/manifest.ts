/**
 * The manifest: everything the compiler found out about an app, as plain data.
 *
 * Written to `dist/manifest.json`; read by emitters, migrations, cookbook, deploy and doctor. It holds
 * no code, no secret and no machine path: `source.file` is relative to the app's folder, with `/`.
 *
 * @module
 */
import type { Shape, ShapeTable } from "./shape.ts";

/** Where a declaration stands. Lines and columns count from 1. */
export interface SourceSpan {
  /** Path relative to the app's folder, with `/`. */
  readonly file: string;
  /** From 1. */
  readonly line: number;
  /** From 1. */
  readonly column: number;
}

/** Three permission bits: R = 4, W = 2, X = 1 (delete, execute). */
export type Bits = 0 | 1 | 2 | 3 | 4 | 5 | 6 | 7;

/** What `@backend({...})` said, defaults filled in. */
export interface RouteMeta {
  /** Group the caller must be in, or null. */
  readonly ugroup: string | null;
  /** Whether a plain request needs a session; `none`: whatever it shows is not looked at. */
  readonly session: "required" | "optional" | "none";
  /** Bits the route may use at most; effective bits are table ∧ route. */
  readonly perm: Bits;
  /** Endpoint group, for middleware and docs, or null. */
  readonly egroup: string | null;
  /** Bits given beyond a field's own, as `"table.field"` → bits. */
  readonly grants: Readonly<Record<string, Bits>>;
  /** True: the call may not write and is never retried for a conflict. */
  readonly readOnly: boolean;
  /** How often a conflicting call is run again at most. */
  readonly retry: number;
  /** Deadline in milliseconds. */
  readonly timeout: number;
  /** Calls per window and session, or null. */
  readonly rateLimit: { readonly limit: number; readonly windowMs: number } | null;
  /** Plain REST address, or null; `body` is the parameter that is the whole body. */
  readonly http: {
    readonly method: string;
    readonly path: string;
    readonly body?: string;
  } | null;
  /** Seconds the client may keep a result, or null; read-only routes only. */
  readonly cache: number | null;
}

/** One parameter of a route. */
export interface RouteParameter {
  /** Name as in the source; `argument<n>` for a pattern. */
  readonly name: string;
  /** Type as data. */
  readonly shape: Shape;
  /** True for `name?` and for a default. */
  readonly optional: boolean;
  /** True for `...name`. */
  readonly rest: boolean;
  /** Its `@param` text, if any. */
  readonly doc?: string;
}

/** One backend function. */
export interface RouteDef {
  /** Public name, unique in the app; `POST /rpc/<name>`, `import { <name> }`. */
  readonly name: string;
  /** Numeric id on the wire, from the lock; 1000 and up (below are Kontract's own). */
  readonly op: number;
  /** Source module, relative to the app's folder. */
  readonly module: string;
  /** How the module exports it: `Class.method` or `name`. */
  readonly export: { readonly className: string | null; readonly name: string };
  /** Options, defaults filled in. */
  readonly meta: RouteMeta;
  /** In order. */
  readonly parameters: readonly RouteParameter[];
  /** Awaited result. */
  readonly result: Shape;
  /** Codes or names of error classes that the doc says it throws, or that it makes itself. */
  readonly throws: readonly string[];
  /** Names of the middleware that apply, outermost first. */
  readonly middleware: readonly string[];
  /** Hash of parameters and result: equal hashes talk without any check. */
  readonly schemaHash: string;
  /** Doc comment as written, tags included; empty where there is none. */
  readonly doc: string;
  /** Where it is declared. */
  readonly source: SourceSpan;
}

/** An error class of the app, which the client module has too. */
export interface ErrorDef {
  /** Name of the class. */
  readonly name: string;
  /** Its code. */
  readonly code: string;
  /** HTTP status where its constructor gives a plain number, else null. */
  readonly status: number | null;
  /** Type of its data, JSON as it is. */
  readonly data?: Shape;
  /** Doc comment; empty where there is none. */
  readonly doc: string;
  /** Where it is declared. */
  readonly source: SourceSpan;
}

/** A field of a table class. */
export interface FieldDef {
  /** Property name. */
  readonly name: string;
  /** Shape of the value; `nullable` never carries `undefined` here (that is `optional`). */
  readonly shape: Shape;
  /** True for `name?`. */
  readonly optional: boolean;
  /** JSON default from a literal initialiser; undefined where there is none. */
  readonly default?: unknown;
  /** Bits a session has on this field; 7 where not said. */
  readonly perm: Bits;
  /** Doc comment; empty where there is none. */
  readonly doc: string;
}

/** An index over one or more fields (dotted for nested ones). */
export interface IndexDef {
  /** In order. */
  readonly fields: readonly string[];
  /** True: no two rows have the same value. */
  readonly unique: boolean;
  /** The author accepts that a unique field without R tells whether a value exists. */
  readonly oracle: boolean;
}

/** A table class, or a system table (name starts with `_`, reachable by a system session only). */
export interface TableDef {
  /** Name in `env.storage`. */
  readonly name: string;
  /** Class name in the app's source. */
  readonly className: string;
  /** Name of the primary key field; its value is the row's id. */
  readonly primkey: string;
  /** Bits every route starts from. */
  readonly perm: Bits;
  /** `owner`: a session sees and touches only rows it owns. */
  readonly rows: "all" | "owner";
  /** In the order of the source. */
  readonly fields: readonly FieldDef[];
  /** Single fields and combinations. */
  readonly indexes: readonly IndexDef[];
  /** Doc comment; empty where there is none. */
  readonly doc: string;
  /** Where it is declared. */
  readonly source: TableSpan;
}

/** Where a table is declared. */
export interface TableSpan extends SourceSpan {
  /** How many lines below it each of its fields is, in their order. */
  readonly fields?: readonly number[];
}

/** One column of a query's rows. */
export interface ExecColumn {
  /** Name in SQL and in the row. */
  readonly name: string;
  /** Type as data. */
  readonly shape: Shape;
  /** True for `name?`: left out where it is null. */
  readonly optional: boolean;
}

/** A query of `env.storage.exec`, its text fixed. */
export interface ExecDef {
  /** Hash of everything below but the place. */
  readonly id: string;
  /** Text before, between and after the parameters. */
  readonly text: readonly string[];
  /** Types of the parameters, in order. */
  readonly parameters: readonly Shape[];
  /** What a row has, as the source says. */
  readonly columns: readonly ExecColumn[];
  /** Named types that parameters and columns refer to. */
  readonly types: ShapeTable;
  /** Where the template begins. */
  readonly source: SourceSpan;
}

/** An app, as data. */
export interface Manifest {
  /** Version of the format. */
  readonly version: 1;
  /** App id: part of raystream's prologue. */
  readonly app: string;
  /** Content hash of everything below and of the code. */
  readonly build: string;
  /** By operation number. */
  readonly routes: readonly RouteDef[];
  /** By name. */
  readonly errors: readonly ErrorDef[];
  /** By name. */
  readonly tables: readonly TableDef[];
  /** By place in the source. */
  readonly execs: readonly ExecDef[];
  /** Named types of parameters and results. */
  readonly types: ShapeTable;
  /** True where the app's server gives failures at REST addresses a form of its own. */
  readonly ownErrors?: true;
}

/** The REST addresses of an app's functions, as in the source. */
export function addressesOf({ routes }: Pick<Manifest, "routes">): readonly string[] {
  return routes.flatMap(({ meta }) => meta.http === null ? [] : [meta.http.path]);
}
