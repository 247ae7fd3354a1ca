/**
 * A migration in a process of its own, to be killed: it says on stdout when it has reached a row, and
 * waits there for ever.
 *
 * Argument: JSON of `{ adminUrl, gatewayRole, secret, tables, stopAt }`; secret in hex.
 *
 * @module
 */
import type { TableDef } from "../../_internal/manifest.ts";
import { migrateUp } from "../migrate/mod.ts";

const given = JSON.parse(Deno.args[0]!) as {
  readonly adminUrl: string;
  readonly gatewayRole: string;
  readonly secret: string;
  readonly tables: readonly TableDef[];
  readonly stopAt: string;
};

await migrateUp({
  adminUrl: given.adminUrl,
  gatewayRole: given.gatewayRole,
  secrets: [Uint8Array.fromHex(given.secret)],
  tables: given.tables,
  migrations: [{
    name: "0001_slow",
    hash: "1",
    load: () =>
      Promise.resolve({
        up: (m) =>
          m.transform("things", async (row) => {
            if (row.id === given.stopAt) {
              console.log("there");
              await new Promise((resolve) => setTimeout(resolve, 600_000));
            }
            return { ...row, x: Number(row.x) };
          }),
      }),
  }],
});
