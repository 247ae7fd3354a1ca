/**
 * The form of the contract: tokens under the scheme `Token`, and errors as `{ "errors": { name: [problem] } }`,
 * also where the framework refuses a request before a function sees it.
 *
 * @module
 */
import { defineServer, type HttpFailure, type HttpFailureAnswer } from "@kontract/kontract";
import type { Problems } from "./refused.ts";

const HOUR = 3_600_000;

export default defineServer({
  auth: {
    // The contract's clients renew no tokens: one lasts as long as a token may.
    lifetimes: { access: 24 * HOUR },
    // Its conformance requests sign many people up from one address, with a well-known password.
    allowWeakPasswords: true,
    limits: {
      registerAddress: { limit: 1_000, windowMs: HOUR },
      loginAddress: { limit: 1_000, windowMs: HOUR },
    },
  },
  http: { scheme: "Token", unknown: "ignore", error },
});

function error(failure: HttpFailure): HttpFailureAnswer {
  const { code, status } = failure;
  const answer = (status: number, errors: Problems) => ({ status, body: { errors } });
  switch (code) {
    case "REFUSED":
      return answer(status, failure.data as Problems);
    case "UNAUTHORIZED":
    case "SESSION_EXPIRED":
    case "SESSION_REVOKED":
      return answer(401, { token: ["is missing"] });
    case "NOT_FOUND":
      return answer(404, { path: ["not found"] });
    case "VALIDATION":
      return answer(422, problemOf(failure));
    case "BAD_REQUEST":
    case "TOO_LARGE":
      return answer(422, { body: [failure.message] });
    case "UNIQUE_VIOLATION":
      // The contract knows 409 where something is made, and not where it is changed.
      return answer(failure.route === "updateUser" ? 422 : 409, {
        [takenField(failure)]: ["has already been taken"],
      });
    default:
      return answer(status, { server: [failure.message] });
  }
}

/** What a value should have been, said by its type or by the rules for accounts. */
function problemOf({ data, message }: HttpFailure): Problems {
  const { path, expected, found, field, reason } = (data ?? {}) as Readonly<Record<string, string>>;
  // A text that no database can hold says nothing of where it came from.
  if (path !== undefined && expected === undefined) return { value: [message] };
  if (path !== undefined) {
    const name = path.replace(/\[.*$/, "").split(".").at(-1) ?? path;
    const blank = found === "missing" || found === "null" && expected === "a string";
    return { [name]: [blank ? "can't be blank" : `must be ${expected}`] };
  }
  if (reason === "too_short") return { [field!]: ["is too short (minimum is 8 characters)"] };
  return { [field ?? "body"]: [field === undefined ? message : "is invalid"] };
}

function takenField({ data }: HttpFailure): string {
  const { field, fields } = (data ?? {}) as { field?: string; fields?: string[] };
  return field ?? fields?.[0] ?? "value";
}
