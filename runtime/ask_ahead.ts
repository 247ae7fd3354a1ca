/**
 * What a process of `dev` does when an edit begins, before it has the app.
 *
 * @module
 */
import { createGateway } from "./gateway.ts";
import type { Ports } from "./ports.ts";
import { DEFAULT_TENANT } from "./tenants.ts";

/** Nobody has it: `.invalid` never exists. */
const NOBODY = "nobody@kontract.invalid";

/**
 * Asks the database what no app is needed for, through everything that a first call goes through as well: the
 * connection stands then, and both ends have read their programs. Rejects like any question.
 */
export async function askAhead(ports: Ports): Promise<void> {
  const app = { app: "", build: "", routes: [], modules: [], tables: [] };
  await createGateway(app, ports, { shareOpening: false }).auth.ownerOf(DEFAULT_TENANT, NOBODY);
}
