/**
 * The promises of the auth service over any {@link AuthStore}: run it over the model in memory and over
 * the real storage engine.
 *
 * @module
 */
import { accountTests } from "./testing/account_tests.ts";
import type { StoreFactory } from "./testing/harness.ts";
import { limitTests } from "./testing/limit_tests.ts";
import { recoveryTests } from "./testing/recovery_tests.ts";
import { registrationTests } from "./testing/registration_tests.ts";
import { signInTests } from "./testing/sign_in_tests.ts";

export type { StoreFactory, StoreUnderTest } from "./testing/harness.ts";

/** Registers all tests; `name` says which store. */
export function authServiceSuite(name: string, factory: StoreFactory): void {
  signInTests(name, factory);
  registrationTests(name, factory);
  accountTests(name, factory);
  recoveryTests(name, factory);
  limitTests(name, factory);
}
