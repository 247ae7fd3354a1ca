/**
 * The promises of the auth service over any {@link AuthStore}: run it over the model in memory and over
 * the real storage engine.
 *
 * @module
 */
import { accountTests } from "./account_tests.ts";
import type { StoreFactory } from "./harness.ts";
import { limitTests } from "./limit_tests.ts";
import { recoveryTests } from "./recovery_tests.ts";
import { registrationTests } from "./registration_tests.ts";
import { signInTests } from "./sign_in_tests.ts";

export type { StoreFactory, StoreUnderTest } from "./harness.ts";

/** Registers all tests; `name` says which store. */
export function authServiceSuite(name: string, factory: StoreFactory): void {
  signInTests(name, factory);
  registrationTests(name, factory);
  accountTests(name, factory);
  recoveryTests(name, factory);
  limitTests(name, factory);
}
