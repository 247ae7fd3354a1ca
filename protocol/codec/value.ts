/**
 * `unknown` on the wire: a table that says its own kind and holds others of itself. Ordinary FlatBuffers;
 * the schema is
 *
 * ```fbs
 * table Value {
 *   kind: ubyte; number: double; text: string; bytes: [ubyte]; items: [Value]; keys: [string];
 *   kinds: [ubyte]; texts: [string]; numbers: [double];
 * }
 * ```
 *
 * Plain data only: undefined, null, booleans, numbers, strings, bigints, Date, Uint8Array and other typed
 * arrays, arrays, plain objects, Map, Set. A typed array has the name of its class in `text`.
 *
 * Arrays and objects are written packed, unless each element needs a table anyhow: one for every number
 * costs more than the number. `kinds` says for each element what it is; strings, numbers and the others
 * stand in vectors of their own, each in order. Objects with the same keys share the vector of them. The
 * unpacked forms, which are simpler to write, are read as well. A Map's keys and values alternate in
 * `items`.
 *
 * @module
 */
export { decodeValue, getValue } from "./value_reader.ts";
export { encodeValue, putValue } from "./value_writer.ts";
