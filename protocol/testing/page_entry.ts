/**
 * Makes the suites reachable from outside a page. For tests only.
 *
 * @module
 */
import { trips, vectors } from "./platform_entry.ts";

Object.assign(globalThis, { suite: { vectors, trips } });
