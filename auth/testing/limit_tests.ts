/**
 * Every limit of `limits.ts`, by name: with it alone set to two, the third use of the same subject is
 * refused and the first of another is not.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { AuthFunction } from "../contract.ts";
import { DEFAULT_LIMITS, type LimitName, type Limits } from "../limits.ts";
import {
  authTest,
  type Caller,
  type Harness,
  OTHER_PASSWORD,
  PASSWORD,
  type StoreFactory,
} from "./harness.ts";

/** What to call. */
type Use = readonly [name: AuthFunction, argument: unknown, caller?: Caller];

interface Case {
  /** The n-th use by one subject. */
  readonly same: (n: number) => Use;
  /** A use by another one. */
  readonly other: Use;
}

const from = (n: number): Caller => ({ address: `198.51.100.${n}` });
const mail = (n: number): string => `person${n}@example.com`;
const wrong = (n: number): unknown => ({ email: mail(n), password: OTHER_PASSWORD });
const fresh = (n: number): unknown => ({ email: mail(n), password: PASSWORD });
const junk = { token: "a".repeat(43), password: PASSWORD };

async function casesOf(h: Harness): Promise<Readonly<Record<LimitName, Case>>> {
  const [ann, bob] = [await h.register("ann@example.com"), await h.register("bob@example.com")];
  const [owner, another] = [await h.as(ann), await h.as(bob)];
  const change = { current: OTHER_PASSWORD, password: "nine slow clouds" };
  return {
    anonymous: {
      same: () => ["anonymous", {}, from(1)],
      other: ["anonymous", {}, from(2)],
    },
    loginAddress: {
      same: (n) => ["login", wrong(n), from(1)],
      other: ["login", wrong(9), from(2)],
    },
    loginAccountAddress: {
      same: () => ["login", wrong(1), from(1)],
      other: ["login", wrong(1), from(2)],
    },
    loginAccount: {
      same: (n) => ["login", wrong(1), from(n)],
      other: ["login", wrong(2), from(1)],
    },
    registerAddress: {
      same: (n) => ["register", fresh(n), from(1)],
      other: ["register", fresh(9), from(2)],
    },
    registerAccount: {
      same: (n) => ["register", fresh(20), from(n)],
      other: ["register", fresh(21), from(1)],
    },
    mailAddress: {
      same: (n) => ["requestReset", { email: mail(n) }, from(1)],
      other: ["requestReset", { email: mail(9) }, from(2)],
    },
    mailAccount: {
      same: (n) => ["requestReset", { email: mail(1) }, from(n)],
      other: ["requestReset", { email: mail(2) }, from(1)],
    },
    tokenAddress: {
      same: () => ["resetPassword", junk, from(1)],
      other: ["resetPassword", junk, from(2)],
    },
    changeOwner: {
      same: (n) => ["changePassword", change, { ...owner, ...from(n) }],
      other: ["changePassword", change, { ...another, ...from(1) }],
    },
    refreshAddress: {
      same: () => ["refresh", { refresh: "junk" }, from(1)],
      other: ["refresh", { refresh: "junk" }, from(2)],
    },
  };
}

/** Registers them. */
export function limitTests(name: string, factory: StoreFactory): void {
  const names = Object.keys(DEFAULT_LIMITS) as LimitName[];
  const wide = { limit: 1_000_000, windowMs: 1000 };
  for (const limit of names) {
    const limits = Object.fromEntries(
      names.map((each) => [each, each === limit ? { limit: 2, windowMs: 1000 } : wide]),
    ) as Limits;
    authTest(factory, `${name}: ${limit} bounds its subject, and nobody else`, async (h) => {
      // Made before, from elsewhere, and not counted for any subject below.
      const { same, other } = (await casesOf(h))[limit];
      const outcome = async ([name, argument, caller]: Use): Promise<string> =>
        await h.call(name, argument, caller).then(() => "ok", (error) => String(error.code));
      for (const n of [1, 2]) assert.notEqual(await outcome(same(n)), "RATE_LIMITED", `use ${n}`);
      assert.equal(await outcome(same(3)), "RATE_LIMITED");
      assert.notEqual(await outcome(other), "RATE_LIMITED");
      await h.settle();
    }, { limits });
  }
}
