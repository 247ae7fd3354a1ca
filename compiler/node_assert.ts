/**
 * Types of `node:assert`. Those of Node's other modules, which Deno's types do not have either, are `any`; but
 * TypeScript follows what an assertion asserts only where it knows the function as one.
 *
 * @module
 */

const REST = "message?: string | Error";
/** A class, an expression, an object of properties, or a function that says true. */
const EXPECTED = `expected?: RegExp | object | ((error: any) => unknown) | string, ${REST}`;

const BODY = `
  type Thrown = (() => unknown) | Promise<unknown>;
  function assert(value: unknown, ${REST}): asserts value;
  namespace assert {
    function ok(value: unknown, ${REST}): asserts value;
    function fail(${REST}): never;
    function ifError(value: unknown): asserts value is null | undefined;
    function equal<T>(actual: unknown, expected: T, ${REST}): asserts actual is T;
    function deepEqual<T>(actual: unknown, expected: T, ${REST}): asserts actual is T;
    function strictEqual<T>(actual: unknown, expected: T, ${REST}): asserts actual is T;
    function deepStrictEqual<T>(actual: unknown, expected: T, ${REST}): asserts actual is T;
    function partialDeepStrictEqual(actual: unknown, expected: unknown, ${REST}): void;
    function notEqual(actual: unknown, expected: unknown, ${REST}): void;
    function notDeepEqual(actual: unknown, expected: unknown, ${REST}): void;
    function notStrictEqual(actual: unknown, expected: unknown, ${REST}): void;
    function notDeepStrictEqual(actual: unknown, expected: unknown, ${REST}): void;
    function match(value: string, pattern: RegExp, ${REST}): void;
    function doesNotMatch(value: string, pattern: RegExp, ${REST}): void;
    function throws(block: () => unknown, ${EXPECTED}): void;
    function doesNotThrow(block: () => unknown, ${EXPECTED}): void;
    function rejects(block: Thrown, ${EXPECTED}): Promise<void>;
    function doesNotReject(block: Thrown, ${EXPECTED}): Promise<void>;
    const AssertionError: any;
    const strict: typeof assert;
  }
  export = assert;
`;

/** As text of a declaration file. Without 'strict' `equal` is `==`, which tells no type. */
export const NODE_ASSERT: string = [
  `declare module "node:assert/strict" {${BODY}}`,
  `declare module "node:assert" {${
    BODY.replaceAll(
      /(function (?:equal|deepEqual))<T>(\(.*expected: )T(.*): asserts .*;/g,
      "$1$2unknown$3: void;",
    )
  }}`,
  "",
].join("\n");
