/**
 * Shapes as plain JSON, for `POST /rpc/<name>`, REST, the console and curl: the same types as on the
 * binary wire, checked as strictly, interpreted instead of generated since this path is not the fast one.
 *
 * | shape | JSON |
 * |---|---|
 * | number | number; `"NaN"`, `"Infinity"`, `"-Infinity"`, `"-0"` where JSON has none |
 * | bigint | decimal string |
 * | date | ISO string |
 * | bytes, typed arrays | base64 of the bytes (little-endian) |
 * | map | array of pairs |
 * | set | array |
 * | file | `{ name, type, bytes }`, bytes in base64 |
 * | error | `{ code, message, data? }` |
 * | undefined | a missing key; elsewhere `null`, or `{ "$undefined": true }` where `null` has its own meaning |
 * | union without discriminator | the variant's JSON; `{ "$variant": id, "value": … }` where an earlier variant would take it |
 * | unknown | JSON as it is; `{ "$date": … }`, `$bigint`, `$bytes`, `$map`, `$set`, `$number`, `$undefined`, `$object` for the rest |
 *
 * Unknown keys are refused, or passed over where that is asked for; `__proto__` is refused always. Both directions throw `VALIDATION` with `{ path, expected, found }`.
 *
 * @module
 */
import { KontractError } from "./errors.ts";
import { decode } from "./json_decode.ts";
import { encode } from "./json_encode.ts";
import { Mismatch, type Walk } from "./json_walk.ts";
import type { Shape, ShapeTable } from "./shape.ts";

/**
 * Plain JSON → a checked value. `lenient` passes over properties that a shape does not know.
 *
 * @throws {KontractError} `VALIDATION` with data `{ path, expected, found }`.
 */
export function jsonDecode(
  shape: Shape,
  types: ShapeTable,
  value: unknown,
  lenient = false,
): unknown {
  return run((walk) => decode(walk, shape, value), types, lenient);
}

/**
 * A value → plain JSON that {@link jsonDecode} turns into an equal value. Properties that the shape does
 * not know are left out.
 *
 * @throws {KontractError} `VALIDATION` with data `{ path, expected, found }`.
 */
export function jsonEncode(shape: Shape, types: ShapeTable, value: unknown): unknown {
  return run((walk) => encode(walk, shape, value), types);
}

function run(work: (walk: Walk) => unknown, types: ShapeTable, lenient = false): unknown {
  try {
    return work({ types, lenient, depth: 0, tries: 0 });
  } catch (error) {
    if (!(error instanceof Mismatch)) throw error;
    const path = error.path.replace(/^\./, "");
    throw new KontractError(
      "VALIDATION",
      `${path === "" ? "The value" : `'${path}'`} must be ${error.expected}.`,
      { data: { path, expected: error.expected, found: error.found ?? "missing" } },
    );
  }
}
