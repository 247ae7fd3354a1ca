/**
 * The contract, read in place from a folder beside the checkout (`../shared/realworld/openapi.yml`): data of
 * others, not copied into this repository. It judges answers: which statuses an operation may have, and what
 * a body looks like.
 *
 * @module
 */
import assert from "node:assert/strict";
import { Validator } from "@seriousme/openapi-schema-validator";
import { Ajv2020 } from "ajv/dist/2020.js";

const FILE = new URL("../../../../shared/realworld/openapi.yml", import.meta.url);

interface Operation {
  readonly responses: Readonly<Record<string, unknown>>;
}

type Paths = Readonly<Record<string, Readonly<Record<string, Operation>>>>;

/** Judges answers by the contract. */
export class Contract {
  /** Operations that have been judged, as `GET /user`. */
  readonly seen = new Set<string>();
  readonly #paths: Paths;
  readonly #ajv = new Ajv2020({
    strict: false,
    formats: { "date-time": isMoment, password: true },
  });

  private constructor(document: Record<string, unknown>) {
    this.#paths = document.paths as Paths;
    this.#ajv.addSchema({ $id: "contract:/", ...document });
  }

  /** Reads it; null where it is not there, and says so. */
  static async read(): Promise<Contract | null> {
    const text = await Deno.readTextFile(FILE).catch(() => null);
    if (text === null) {
      console.error(
        `!!! The contract is MISSING at ${FILE.pathname}: answers are not judged by it.`,
      );
      return null;
    }
    const validator = new Validator();
    const { valid, errors } = await validator.validate(text);
    assert.ok(valid, JSON.stringify(errors));
    return new Contract(validator.specification as Record<string, unknown>);
  }

  /** All operations, as `GET /user`. */
  get operations(): readonly string[] {
    return Object.entries(this.#paths).flatMap(([path, item]) =>
      Object.keys(item).map((method) => `${method.toUpperCase()} ${path}`)
    );
  }

  /** Refuses an answer that the contract does not know. */
  judge(method: string, pathname: string, status: number, body: unknown): void {
    const path = this.#pathOf(pathname);
    const operation = this.#paths[path]?.[method.toLowerCase()];
    assert.ok(operation !== undefined, `${method} ${pathname} is not in the contract`);
    this.seen.add(`${method} ${path}`);
    assert.ok(String(status) in operation.responses, `${method} ${path} may not answer ${status}`);
    if (status === 204) return assert.equal(body, undefined);
    const pointer = ["paths", path, method.toLowerCase(), "responses", String(status)]
      .map((step) => encodeURIComponent(step.replaceAll("~", "~0").replaceAll("/", "~1"))).join(
        "/",
      );
    const response = this.#resolve(operation.responses[String(status)], pointer);
    const validate = this.#ajv.compile({
      $ref: `contract:/#/${response}/content/application~1json/schema`,
    });
    assert.ok(
      validate(body),
      `${method} ${path} ${status}: ${JSON.stringify(validate.errors)} of ${JSON.stringify(body)}`,
    );
  }

  #resolve(value: unknown, pointer: string): string {
    const { $ref } = value as { readonly $ref?: string };
    return $ref === undefined ? pointer : $ref.replace(/^#\//, "");
  }

  /** The template of a path; one without parameters wins. */
  #pathOf(pathname: string): string {
    const given = pathname.split("/");
    const fits = (path: string): boolean => {
      const steps = path.split("/");
      return steps.length === given.length &&
        steps.every((step, i) => step === given[i] || (step.startsWith("{") && given[i] !== ""));
    };
    const found = Object.keys(this.#paths).filter(fits)
      .sort((a, b) => a.split("{").length - b.split("{").length)[0];
    assert.ok(found !== undefined, `no path of the contract is ${pathname}`);
    return found;
  }
}

function isMoment(text: string): boolean {
  return /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/.test(text) && !Number.isNaN(Date.parse(text));
}
