/**
 * What cannot cross, in words: for each kind of type the reason and what to use instead.
 *
 * @module
 */

/** Why a type is refused, and what to do. */
export interface Refusal {
  readonly reason: string;
  readonly hint: string;
  /** The same for a field of a table, where it is another. */
  readonly stored?: string;
}

/** All refusals, by kind. */
export const REFUSALS = {
  any: {
    reason: "'any' says nothing about what may arrive",
    hint: "Declare the type, or use 'unknown' for any plain value and check it yourself.",
  },
  unresolved: {
    reason: "its type could not be resolved",
    hint: "Fix the type errors of this file first.",
  },
  function: {
    reason: "a function cannot cross",
    hint: "Send data, and call back with another backend function or an event.",
    stored: "Store data, and keep what is done with it in a backend function.",
  },
  symbol: { reason: "a symbol cannot cross", hint: "Use a string." },
  proto: {
    reason: "'__proto__' is no field like others: setting it changes what an object is",
    hint: "Give the field another name.",
  },
  bigintLiteral: {
    reason: "which bigint it is is not checked on the way",
    hint: "Use bigint and check it yourself, or literals that are strings or numbers.",
  },
  caseMapping: {
    reason: "whether a text is in capitals is not checked on the way",
    hint: "Use string and check it yourself.",
  },
  keyPattern: {
    reason: "the form of a record's keys is not checked on the way",
    hint: "Use a Map, whose keys are checked, or Record<string, V> and check them yourself.",
  },
  restInside: {
    reason: "elements behind a tuple's rest cannot be told from it",
    hint: "Put the rest last: [string, boolean, ...number[]].",
  },
  namelessArgument: {
    reason: "the type contains itself, and a type argument of it has no name",
    hint: "Name the argument: interface Item { … }, or type Item = …, and then Tree<Item>.",
  },
  defaulted: {
    reason: "in a call of backend() a default value does not give a parameter its type",
    hint: "Write the type: (page: number = 1).",
  },
  emptyArray: {
    reason: "an empty array does not say what its elements are",
    hint: "Declare its type, such as string[].",
  },
  never: { reason: "'never' has no values", hint: "Remove it, or make it optional." },
  object: {
    reason: "'object' does not say which fields it has",
    hint: "List the fields, or use Record<string, V> or 'unknown'.",
  },
  promise: {
    reason: "a promise inside a value cannot cross",
    hint: "Await it first and send the result.",
    stored: "Await it first and store the result.",
  },
  class: {
    reason: "an instance of a class would arrive without its methods",
    hint: "Use an interface or a type with the same fields.",
  },
  generic: {
    reason: "a type parameter is not known at build time",
    hint: "Write the concrete type.",
  },
  stream: {
    reason: "a stream can only be the whole result or a whole parameter",
    hint: "Return or take the AsyncIterable or ReadableStream itself, not inside another value.",
  },
  index: {
    reason: "named fields and an index signature do not go together",
    hint: "Put the open part in a field of its own: { name: string; extra: Record<string, V> }.",
  },
  numberIndex: {
    reason: "an index signature with numbers is not an array",
    hint: "Use V[] or Map<number, V>.",
  },
  buffer: { reason: "a bare buffer has no element type", hint: "Use Uint8Array." },
  regexp: {
    reason: "a regular expression cannot cross",
    hint: "Send its source as a string.",
    stored: "Store its source as a string.",
  },
  url: {
    reason: "a URL object cannot cross",
    hint: "Send its href as a string.",
    stored: "Store its href as a string.",
  },
  weak: {
    reason: "a weak collection or reference has no contents to send",
    hint: "Use Map, Set or an array.",
  },
  response: {
    reason: "a response of the host cannot cross",
    hint: "Return the data itself, or HttpResp with it for a status and headers.",
  },
  request: {
    reason: "a request of the host cannot cross",
    hint: "Take what you need of it as parameters of their own.",
  },
  temporal: {
    reason: "a Temporal object cannot cross",
    hint: "Send its toString(), or a Date.",
    stored: "Store its toString(), or a Date.",
  },
  iterable: {
    reason: "it may be a list of any kind, and some can be gone through only once",
    hint: "Use an array, or AsyncIterable<T> as a whole parameter or result for a stream.",
    stored: "Use an array.",
  },
  pairs: {
    reason: "an object of the host cannot cross",
    hint: "Send its entries: [string, string][].",
    stored: "Store its entries: [string, string][].",
  },
  errorClass: {
    reason: "what crosses of an error is code, message and data, and no class of JavaScript's",
    hint: "Use Error, or its message as a string.",
    stored: "Store its message as a string.",
  },
  host: {
    reason: "an object of the host cannot cross",
    hint: "Take the data you need out of it and send that.",
  },
  boxed: {
    reason: "a boxed primitive cannot cross",
    hint: "Use string, number, boolean or bigint in lower case.",
  },
  key: {
    reason: "a field named by a symbol cannot cross",
    hint: "Name it by a string.",
  },
  unnamedCycle: {
    reason: "the type contains itself without a name",
    hint: "Give the recursive part a name with 'interface' or 'type'.",
  },
  deep: {
    reason: "the type is nested more than 64 levels deep or grows without end",
    hint: "Make it finite; a recursive type must refer to itself with the same type arguments.",
  },
  mapKey: {
    reason: "a key of a Map must be a string, number, bigint, boolean or a union of literals",
    hint: "Use one of these as the key, or an array of pairs.",
  },
  privateMember: {
    reason: "a private or protected field does not leave the class",
    hint: "Use an interface with the public fields.",
  },
} as const satisfies Record<string, Refusal>;

/** A kind of refusal. */
export type RefusalKind = keyof typeof REFUSALS;
