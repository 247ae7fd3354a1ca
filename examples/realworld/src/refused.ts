/**
 * What the contract calls an error: a status, and under the name of a field or a thing what is wrong with it.
 *
 * @module
 */
import { AppError } from "@kontract/kontract";

/** What is wrong, by the name of a field or a thing. */
export type Problems = Record<string, string[]>;

/** A refusal of the app's own. */
export class Refused extends AppError<"REFUSED", Problems> {
  constructor(status: 401 | 403 | 404 | 409 | 422, name: string, problem: string) {
    super("REFUSED", `${name} ${problem}`, { status, data: { [name]: [problem] } });
  }
}

/** A text that says something, without the space around it. */
export function filled(name: string, value: string | null): string {
  const text = value?.trim() ?? "";
  if (text === "") throw new Refused(422, name, "can't be blank");
  return text;
}
