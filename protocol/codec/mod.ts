/**
 * Runtime of generated codecs: FlatBuffers wire format, written and read without intermediate objects.
 *
 * Applications never call it; the compiler emits code that does. It is part of every bundle, so it holds
 * only what generated code names, and each name can be dropped by a bundler.
 *
 * @module
 */
export { atKey, no } from "./failure.ts";
export { Layout, type ReadVtable } from "./layout.ts";
export {
  bad,
  decodeWith,
  deeper,
  fields,
  getBigint,
  getBoolean,
  getBytes,
  getDate,
  getEnum,
  getFloat32,
  getFloat64,
  getInt16,
  getInt32,
  getInt64,
  getInt8,
  getPattern,
  getString,
  getTyped,
  getUint16,
  getUint32,
  getUint64,
  getUint8,
  lengthOf,
  missing,
  reference,
  shallower,
  toMap,
  toRecord,
  toSet,
  vectorAt,
} from "./reader.ts";
export {
  errorParts,
  type FileParts,
  fileParts,
  own,
  recordKeys,
  toBlob,
  toError,
  toFile,
} from "./special.ts";
export { readFiles } from "../../_internal/file_bytes.ts";
export { knownNames, type KnownNode } from "../../_internal/known_nodes.ts";
export type { KnownNames } from "../../_internal/least_lost.ts";
export { decodeValue, encodeValue, getValue, putValue } from "./value.ts";
export {
  attempt,
  attemptLeastLost,
  down,
  encodeWith,
  MAX_BYTES,
  MAX_DEPTH,
  open,
  openWide,
  putBigint,
  putBits,
  putBoolean,
  putBytes,
  putDate,
  putEnum,
  putFloat32,
  putFloat64,
  putInt16,
  putInt32,
  putInt64,
  putInt8,
  putLiteral,
  putPattern,
  putString,
  putTag,
  putTyped,
  putUint16,
  putUint32,
  putUint64,
  putUint8,
  up,
  vector,
} from "./writer.ts";
