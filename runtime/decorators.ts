/**
 * What an author writes beside a declaration: `backend`, `table`, `primkey`, `index`, `perm`.
 *
 * The compiler reads these from the source by symbol identity; at run time they do nothing, so a
 * class can be used in a test without a build. They never change the type of what they decorate.
 * Only {@link backend} has an opinion: in a browser it throws, since a server body must never get
 * there.
 *
 * @module
 */
import { KontractError } from "../_internal/errors.ts";
import type { Bits } from "../_internal/manifest.ts";

export type { Bits };

/**
 * Permission bits by name: R reads, W writes, X deletes.
 *
 * @example
 * ```ts
 * import { perms } from "@kontract/kontract";
 * console.assert((perms.R__ | perms._W_) === perms.RW_);
 * ```
 */
export const perms = {
  /** Read, write, delete. */
  RWX: 7,
  /** Read and write. */
  RW_: 6,
  /** Read and delete. */
  R_X: 5,
  /** Read. */
  R__: 4,
  /** Write and delete. */
  _WX: 3,
  /** Write. */
  _W_: 2,
  /** Delete. */
  __X: 1,
  /** Nothing. */
  ___: 0,
} as const;

/** Options of {@link backend}; all must be literals, since the compiler reads them. */
export interface BackendOptions {
  /** Group the caller must be in; anyone with a session where missing. */
  readonly ugroup?: string;
  /**
   * Whether a request over plain HTTP needs a session. `optional`: one without is let in as a guest
   * (`ctx.isGuest`), one with a bad token is refused all the same. `none`: everybody is a guest, and a token
   * is not looked at. `required` where missing.
   */
  readonly session?: "required" | "optional" | "none";
  /** Bits the function may use at most; effective bits are table ∧ this. `perms.RWX` where missing. */
  readonly perm?: Bits;
  /** Endpoint group, for middleware and documentation. */
  readonly egroup?: string;
  /** Public name, where it shall differ from the function's. */
  readonly name?: string;
  /** True: the call may not write; it is never run again for a conflict. */
  readonly readOnly?: boolean;
  /** How often a conflicting call is run again at most. */
  readonly retry?: number;
  /** Deadline in milliseconds. */
  readonly timeout?: number;
  /** Calls per window and session. */
  readonly rateLimit?: {
    /** Calls allowed in a window. */
    readonly limit: number;
    /** Length of the window in milliseconds. */
    readonly windowMs: number;
  };
  /** Plain REST address, beside the generated client and `/rpc`. */
  readonly http?: {
    /** A function that answers to `GET` must be `readOnly`. */
    readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
    /**
     * Path with `{parameters}`, e.g. `/api/users/{id}`. The other parameters are query parameters of a
     * `GET` or `DELETE`, and properties of the JSON body of the rest.
     */
    readonly path: string;
    /** The parameter that is the whole JSON body; those that are left are query parameters then. */
    readonly body?: string;
  };
  /** Seconds the generated client may keep the result; read-only functions only. */
  readonly cache?: number;
  /** Bits beyond a field's own, as `"table.field"` → bits; shown in the permission matrix. */
  readonly grants?: Readonly<Record<string, Bits>>;
}

/**
 * A function that can be a backend function. `any` only bounds a type parameter here (TypeScript's own
 * decorator contexts ask for it); no value is ever of that type.
 */
// deno-lint-ignore no-explicit-any
export type BackendFunction = (...args: any) => unknown;

/**
 * What stands under `@backend(...)`: a public static method. The parts of `ClassMethodDecoratorContext` that
 * tell one from everything else; the whole of it, with the method's type in it, takes TypeScript twice as
 * long to check.
 */
export interface BackendContext {
  /** No getter, setter, field or class. */
  readonly kind: "method";
  /** There is no instance to call it on. */
  readonly static: true;
  /** Clients call it. */
  readonly private: false;
}

/** What `@backend(...)` accepts: a public static method, whose type it leaves alone. */
export interface BackendDecorator {
  (method: BackendFunction, context: BackendContext): void;
}

/**
 * Marks a function that runs on the server.
 *
 * @example A static method
 * ```ts
 * import { backend } from "@kontract/kontract";
 * export class Greetings {
 *   @backend({ readOnly: true })
 *   static greet(name: string): Promise<string> {
 *     return Promise.resolve(`Hello, ${name}`);
 *   }
 * }
 * ```
 *
 * @example A call
 * ```ts
 * import { backend } from "@kontract/kontract";
 * export const greet = backend({ readOnly: true }, (name: string) => Promise.resolve(`Hello, ${name}`));
 * console.assert(await greet("Ada") === "Hello, Ada");
 * ```
 *
 * @throws {KontractError} `CONFIG` in a browser: the front end's build let a server module through.
 */
export function backend(options?: BackendOptions): BackendDecorator;
/** The call form: gives the function back unchanged. */
export function backend<F extends BackendFunction>(options: BackendOptions, fn: F): F;
export function backend(
  _options: BackendOptions = {},
  fn?: BackendFunction,
): BackendDecorator | BackendFunction {
  refuseBrowser();
  return fn ?? leaveAlone;
}

/** Options of {@link table}; literals. */
export interface TableOptions {
  /** Bits every route starts from; `perms.RWX` where missing. */
  readonly perm?: Bits;
  /** `owner`: a session sees and touches only the rows it owns. `all` where missing. */
  readonly rows?: "all" | "owner";
}

/**
 * Makes a class a table: its fields are the columns, a literal initialiser is a field's default.
 *
 * @example
 * ```ts
 * import { index, perm, perms, primkey, table } from "@kontract/kontract";
 *
 * // As `env.storage.members`.
 * @table("members", { rows: "all" })
 * @index(["team", "name"])
 * export class Member {
 *   @primkey
 *   id!: string;
 *   team!: string;
 *   name!: string;
 *   @index({ unique: true })
 *   email!: string;
 *   @perm(perms.R__)
 *   role: "member" | "lead" = "member";
 * }
 * console.assert(new Member().role === "member");
 * ```
 *
 * @param _name Name in `env.storage`.
 * @param _options Rights, and whose rows a session sees.
 */
export function table(
  _name: string,
  _options: TableOptions = {},
): <C extends abstract new (...args: never[]) => object>(
  value: C,
  context: ClassDecoratorContext<C>,
) => void {
  return leaveAlone;
}

/** Marks the field whose value is the row's id: `@primkey`, without a call, on one string of a {@link table}. */
export function primkey<V extends string>(
  _value: undefined,
  _context: ClassFieldDecoratorContext<unknown, V>,
): void {}

/** Options of {@link index}; literals. */
export interface IndexOptions {
  /** True: no two rows have the same value. */
  readonly unique?: boolean;
  /** Accepts that a unique field one may not read tells whether a value exists. */
  readonly oracle?: boolean;
}

/** What `@index(...)` on a field accepts. */
export interface FieldIndexDecorator {
  (value: undefined, context: ClassFieldDecoratorContext): void;
}

/** What `@index([...])` on a class accepts. */
export interface ClassIndexDecorator {
  <C extends abstract new (...args: never[]) => object>(
    value: C,
    context: ClassDecoratorContext<C>,
  ): void;
}

/** Indexes one field: `@index()` or `@index({ unique: true })`. */
export function index(options?: IndexOptions): FieldIndexDecorator;
/** Indexes several fields, or a nested one: `@index(["tenant", "address.city"])` on the class. */
export function index(fields: readonly string[], options?: IndexOptions): ClassIndexDecorator;
export function index(
  _fieldsOrOptions?: readonly string[] | IndexOptions,
  _options?: IndexOptions,
): FieldIndexDecorator & ClassIndexDecorator {
  return leaveAlone;
}

/**
 * Bits that sessions have on this field; `perms.RWX` where a field has none. A function exceeds them with its
 * `grants`.
 */
export function perm(_bits: Bits): FieldIndexDecorator {
  return leaveAlone;
}

function leaveAlone(): void {}

function refuseBrowser(): void {
  const host = globalThis as { document?: unknown; Deno?: unknown; process?: unknown };
  const browser = typeof host.document === "object" && host.Deno === undefined &&
    host.process === undefined;
  if (browser) {
    throw new KontractError(
      "CONFIG",
      "A server module reached the browser: import backend functions from '@/client', and build the " +
        "front end with 'kontract build' or the Kontract Vite plugin.",
    );
  }
}
