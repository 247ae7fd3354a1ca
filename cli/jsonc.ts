/**
 * JSON with comments and trailing commas, as `deno.jsonc` and `wrangler.jsonc` have it.
 *
 * @module
 */
import { KontractError } from "../_internal/errors.ts";

/**
 * Parses an object; `name` is the file's, for the message.
 *
 * @throws {KontractError} `CONFIG`
 */
export function parseJsonc(text: string, name: string): Record<string, unknown> {
  // Texts are matched first, so a comment sign inside one is left alone.
  const plain = text
    .replaceAll(/("(?:[^"\\]|\\.)*")|\/\/[^\n]*|\/\*[\s\S]*?\*\//g, (_, quoted) => quoted ?? " ")
    .replaceAll(/("(?:[^"\\]|\\.)*")|,(?=\s*[}\]])/g, (_, quoted) => quoted ?? "");
  let value: unknown;
  try {
    value = JSON.parse(plain);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : "";
    throw new KontractError("CONFIG", `${name} is not JSON: ${why}.`, { cause });
  }
  if (typeof value === "object" && value !== null && !Array.isArray(value)) {
    return value as Record<string, unknown>;
  }
  throw new KontractError("CONFIG", `${name} must be an object.`);
}
