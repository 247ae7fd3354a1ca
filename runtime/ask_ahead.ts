/**
 * What a process of `dev` does before it has the app: it loads, and when an edit begins it asks the database.
 *
 * @module
 */
import { SessionTokenIssuer } from "../auth/session_token.ts";
import { loadDriver } from "../storage/postgres_database.ts";
import type { AppDefinition, RouteCode, RouteEntry } from "./app.ts";
import { loadContext } from "./context.ts";
import { createGateway } from "./gateway.ts";
import type { Log, Ports } from "./ports.ts";
import { DEFAULT_TENANT } from "./tenants.ts";

/** Nobody has it: `.invalid` never exists. */
const NOBODY = "nobody@kontract.invalid";

const ROUTE: RouteEntry = {
  name: "ahead",
  op: 1,
  module: 0,
  meta: {
    ugroup: null,
    session: "required",
    perm: 7,
    egroup: null,
    grants: {},
    readOnly: true,
    retry: 0,
    timeout: 5_000,
    rateLimit: null,
    http: null,
    cache: null,
  },
  schemaHash: "",
  stream: false,
};

const CODE: RouteCode = {
  decodeArguments: () => [],
  encodeResult: () => new Uint8Array(0),
  argumentsFromJson: () => [],
  resultToJson: () => null,
  invoke: () => null,
};

/** An app with nothing in it but a function that does nothing. */
const APP: AppDefinition = {
  app: "",
  build: "",
  routes: [ROUTE],
  modules: [() => Promise.resolve({ routes: { [ROUTE.name]: CODE } })],
  tables: [],
};

/** Whoever needs what is missing here will say so. */
const SILENT: Log = { info: () => {}, warn: () => {}, error: () => {} };

/**
 * Loads what a first call needs, and all that {@link askAhead} does: where modules are asked for elsewhere nobody may
 * have time to answer once an edit has begun. Never rejects.
 */
export async function loadAhead(): Promise<void> {
  await Promise.allSettled([
    loadDriver(),
    import("../storage/engine.ts"),
    import("../auth/tables.ts"),
    import("../auth/admin.ts"),
    loadContext(),
  ]);
}

/**
 * Asks the database what no app is needed for, and answers a call, through everything that a first call goes
 * through as well: the connection stands then, and both ends have read their programs. The call's session is one of
 * nobody, whose token is made here and never leaves.
 */
export async function askAhead(ports: Ports): Promise<void> {
  const gateway = createGateway(APP, { ...ports, log: SILENT }, { shareOpening: false });
  await gateway.auth.ownerOf(DEFAULT_TENANT, NOBODY);
  const { secrets, clock } = ports;
  const issuer = new SessionTokenIssuer({ secrets, clock: () => clock.now() });
  const nobody = {
    owner: crypto.randomUUID(),
    tenant: DEFAULT_TENANT,
    family: crypto.randomUUID(),
    anonymous: true,
  };
  const { token } = await issuer.issue(nobody);
  const response = await gateway.fetch(
    new Request(`http://localhost/rpc/${ROUTE.name}`, {
      method: "POST",
      headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
      body: "[]",
    }),
  );
  await response.body?.cancel();
}
