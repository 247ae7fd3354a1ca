/**
 * Arguments of auth functions: unknown values in, typed values out, or `VALIDATION` with the field.
 *
 * Strict: an argument is a plain object with the expected fields and no others. Messages never repeat a
 * value.
 *
 * @module
 */
import { KontractError } from "../_internal/errors.ts";

/** Detail of a `VALIDATION` error. */
export interface ValidationDetail {
  readonly field: string;
  readonly reason: string;
}

/** A `VALIDATION` error for one field. */
export function invalidField(field: string, reason: string, message: string): KontractError {
  const data: ValidationDetail = { field, reason };
  return new KontractError("VALIDATION", message, { data });
}

type Kind = "email" | "password" | "token" | "id" | "boolean";
type Rule = Kind | `${Kind}?`;
type ValueOf<R extends Rule> = R extends "boolean" ? boolean
  : R extends "boolean?" ? boolean | undefined
  : R extends `${string}?` ? string | undefined
  : string;

/** The object that {@link parseArgument} gives for some rules. */
export type Parsed<R extends Readonly<Record<string, Rule>>> = {
  readonly [K in keyof R]: ValueOf<R[K]>;
};

/**
 * Reads an argument. `undefined` and `null` stand for `{}`.
 *
 * @throws {KontractError} `VALIDATION`
 */
export function parseArgument<const R extends Readonly<Record<string, Rule>>>(
  argument: unknown,
  rules: R,
): Parsed<R> {
  const source = argument ?? {};
  if (typeof source !== "object" || Array.isArray(source)) {
    throw invalidField("", "not_an_object", "The argument must be an object.");
  }
  for (const name of Object.keys(source)) {
    if (!Object.hasOwn(rules, name)) {
      const field = name.slice(0, 64);
      throw invalidField(
        field,
        "unknown_field",
        `'${field}' must be left out: there is no such field.`,
      );
    }
  }
  const result: Record<string, unknown> = {};
  for (const [name, rule] of Object.entries(rules)) {
    const value = Object.hasOwn(source, name) ? Reflect.get(source, name) : undefined;
    const optional = rule.endsWith("?");
    if (value === undefined || value === null) {
      if (!optional) throw invalidField(name, "missing", `'${name}' is missing.`);
      continue;
    }
    result[name] = parseValue(name, (optional ? rule.slice(0, -1) : rule) as Kind, value);
  }
  return result as Parsed<R>;
}

function parseValue(name: string, kind: Kind, value: unknown): string | boolean {
  if (kind === "boolean") {
    if (typeof value === "boolean") return value;
    throw invalidField(name, "not_a_boolean", `'${name}' must be true or false.`);
  }
  if (typeof value !== "string") {
    throw invalidField(name, "not_a_text", `'${name}' must be a text.`);
  }
  switch (kind) {
    case "email": {
      const email = normalizeEmail(value);
      if (email === null) throw invalidField(name, "not_an_email", `'${name}' is not an e-mail.`);
      return email;
    }
    case "password":
      // Only what bounds the work; whether it may be chosen is the policy's question.
      if (value.length > 4096) throw invalidField(name, "too_long", `'${name}' is too long.`);
      return value;
    case "token":
    case "id":
      if (/^[A-Za-z0-9_-]{1,128}$/.test(value)) return value;
      throw invalidField(name, `not_a_${kind}`, `'${name}' has not the right form.`);
  }
}

const LOCAL = /^[a-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[a-z0-9!#$%&'*+/=?^_`{|}~-]+)*$/;
const LABEL = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;

/**
 * An address in the form that accounts are keyed by: lower case, nothing around it. ASCII only
 * (international domains in their `xn--` form), so that no two spellings look alike or fold into each
 * other. Null where it is not an address.
 */
export function normalizeEmail(text: string): string | null {
  const trimmed = text.trim();
  if (trimmed.length > 254 || !/^[\x21-\x7e]+$/.test(trimmed)) return null;
  const email = trimmed.toLowerCase();
  const at = email.lastIndexOf("@");
  const [local, domain] = [email.slice(0, at), email.slice(at + 1)];
  if (at < 1 || local.length > 64 || !LOCAL.test(local)) return null;
  const labels = domain.split(".");
  if (labels.length < 2 || !labels.every((label) => LABEL.test(label))) return null;
  return /^[0-9]+$/.test(labels.at(-1) ?? "") ? null : email;
}
