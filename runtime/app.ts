/**
 * The contract between a built bundle and the runtime.
 *
 * The compiler generates one {@link AppDefinition} per app and one {@link RouteModule} per source
 * module with routes. The definition is small and eager; a module's chunk is imported on the first
 * call of one of its routes, once.
 *
 * @module
 */
import type { ExecDef, RouteMeta, TableDef } from "../_internal/manifest.ts";
import type { HttpBinding } from "../_internal/http_route.ts";
import type { ShapeTable } from "../_internal/shape.ts";

/** What the gateway must know of a route before its chunk is loaded. */
export interface RouteEntry {
  /** Public name. */
  readonly name: string;
  /** Number on the wire. */
  readonly op: number;
  /** Index into {@link AppDefinition.modules}. */
  readonly module: number;
  /** What `@backend({...})` said. */
  readonly meta: RouteMeta;
  /** Hash of parameters and result. */
  readonly schemaHash: string;
  /** True where the result is a stream. */
  readonly stream: boolean;
  /** Number of streamed arguments; none where missing. */
  readonly inputs?: number;
  /** Its plain REST address, if it has one. */
  readonly http?: HttpBinding;
}

/** Generated code of one route; everything in it trusts only bytes it has checked itself. */
export interface RouteCode {
  /** FlatBuffers bytes → arguments, fully checked; throws `RAY_DECODE`. */
  decodeArguments(bytes: Uint8Array): unknown[];
  /** Reads the files of a result (or one stream element); missing where there can be none. */
  readFiles?(value: unknown): Promise<void>;
  /** Result (or one stream element) → FlatBuffers bytes, owned by the caller. Throws `VALIDATION` where the value breaks its type. */
  encodeResult(value: unknown): Uint8Array;
  /** Streamed arguments, in order; none where missing. */
  readonly inputs?: readonly RouteInput[];
  /**
   * Plain JSON array → arguments, fully checked; throws `VALIDATION` with the path. `lenient` passes over
   * properties that a type does not have.
   */
  argumentsFromJson(value: unknown, lenient?: boolean): unknown[];
  /** Names of the parameters, in order; missing where there are none. */
  readonly parameters?: readonly string[];
  /** Result → plain JSON. */
  resultToJson(value: unknown): unknown;
  /** Middleware inlined, then the author's function. Runs inside the call's context. */
  invoke(args: unknown[]): unknown;
}

/** A streamed argument. */
export interface RouteInput {
  /** Its place among the arguments. */
  readonly at: number;
  /** True: the function takes a ReadableStream. */
  readonly readable: boolean;
  /** Bytes of one element → element, fully checked; throws `RAY_DECODE`. */
  decode(bytes: Uint8Array): unknown;
}

/** One lazily loaded chunk. */
export interface RouteModule {
  /** Code by route name. */
  readonly routes: Readonly<Record<string, RouteCode>>;
}

/** A built app. */
export interface AppDefinition {
  /** App id, as in the manifest. */
  readonly app: string;
  /** Build hash, as in the manifest. */
  readonly build: string;
  /** All routes. */
  readonly routes: readonly RouteEntry[];
  /** Loads a chunk, by its number. */
  readonly modules: readonly (() => Promise<RouteModule>)[];
  /** All tables of the app. */
  readonly tables: readonly TableDef[];
  /** Named shapes that `tables` point to; none where missing. */
  readonly types?: ShapeTable;
  /** All queries of the app; none where missing. */
  readonly execs?: readonly ExecDef[];
}
