/**
 * What discovery hands to the stages after it: routes, tables and modules as they stand in the source.
 *
 * @module
 */
import type ts from "typescript";
import type { Bits, RouteMeta, SourceSpan } from "../_internal/manifest.ts";

/** A backend function in the source. */
export interface RouteSource {
  readonly name: string;
  /** Absolute file name of its module. */
  readonly file: string;
  readonly className: string | null;
  /** Name under which the module (or the class) has it. */
  readonly member: string;
  /** The name in its declaration. */
  readonly node: ts.Node;
  readonly signature: ts.Signature;
  readonly meta: RouteMeta;
  /** The value of its `http` option, if any. */
  readonly httpNode?: ts.Node | undefined;
  readonly doc: string;
  readonly span: SourceSpan;
}

/** A field of a table class in the source. */
export interface FieldSource {
  readonly name: string;
  readonly symbol: ts.Symbol;
  readonly node: ts.PropertyDeclaration;
  readonly optional: boolean;
  readonly default?: unknown;
  readonly perm: Bits;
  readonly doc: string;
}

/** An index in the source. */
export interface IndexSource {
  readonly fields: readonly string[];
  readonly unique: boolean;
  readonly oracle: boolean;
  readonly node: ts.Node;
}

/** A table class in the source. */
export interface TableSource {
  readonly name: string;
  readonly className: string;
  readonly file: string;
  readonly symbol: ts.Symbol;
  readonly node: ts.ClassDeclaration;
  readonly primkey: string;
  readonly perm: Bits;
  readonly rows: "all" | "owner";
  readonly fields: readonly FieldSource[];
  readonly indexes: readonly IndexSource[];
  readonly doc: string;
  readonly span: SourceSpan;
}

/** What a module may give to the client. */
export type ModuleClass =
  /** Has routes: the client gets stubs of these and nothing else. */
  | { readonly kind: "boundary" }
  /** Takes `what` from Kontract: the client gets nothing. */
  | { readonly kind: "server"; readonly what: string }
  | { readonly kind: "free" };
