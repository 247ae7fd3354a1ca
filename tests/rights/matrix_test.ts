import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import type { Bits, Manifest, TableDef } from "../../_internal/manifest.ts";
import { AnalysisCache, analyze } from "../../compiler/analysis.ts";
import { Diagnostics, formatDiagnostics } from "../../compiler/diagnostic.ts";
import { postgresDatabase } from "../../storage/postgres_database.ts";
import { inCompany } from "../../storage/testing/company.ts";
import { field, number, PEOPLE, string, table, THINGS } from "../../storage/testing/tables.ts";
import { testDatabase } from "../postgres.ts";
import { type MatrixParts, type Mode, routesOf, TableMatrix } from "./matrix.ts";
import { queriesOf } from "./samples.ts";

/** Each field's bits once, in a table of owners; and a table for each kind of bits. */
const FIXTURE: readonly TableDef[] = [
  table(
    "vault",
    ([0, 1, 2, 3, 4, 5, 6, 7] as const).map((perm) =>
      field(`f${perm}`, perm % 2 === 0 ? string : number, {
        perm,
        ...(perm === 3 ? { optional: true } : { default: perm % 2 === 0 ? "none" : 0 }),
      })
    ),
    { rows: "owner" },
  ),
  ...([0, 1, 2, 3, 4, 5, 6] as const).map((perm) =>
    table(`only${perm}`, [field("text", string), field("kept", string, { perm: 4 })], { perm })
  ),
  PEOPLE,
  { ...THINGS, fields: THINGS.fields.filter(({ name }) => name !== "scores") },
];

const cache = new AnalysisCache();

/** An example's manifest, from its sources. */
async function manifestOf(example: string): Promise<Manifest> {
  const diagnostics = new Diagnostics();
  const found = await analyze({
    root: fileURLToPath(new URL(`../../examples/${example}`, import.meta.url)),
    hosts: [],
    cache,
    diagnostics,
    checkAll: false,
    time: (_stage, work) => work(),
  });
  assert.ok(found !== null, formatDiagnostics(diagnostics.list()));
  return found.manifest;
}

async function matrix(app: MatrixParts["app"], groups: readonly string[]): Promise<void> {
  const execs = app.tables.flatMap((one) => {
    const { count, fields } = queriesOf(one);
    return [count, ...[...fields.values()].flat()];
  });
  const db = await testDatabase(app.tables, app.types, "shared", execs);
  const plain = postgresDatabase({ url: db.gatewayUrl, max: 4 });
  const company = inCompany(plain);
  let cells = 0;
  try {
    const inMode = async (mode: Mode): Promise<void> => {
      for (const one of app.tables) {
        // Where the database alone decides, whatever can be one of a group is.
        const database = mode === "blind" ? company : plain;
        const tests = await TableMatrix.open({ app, db, database }, one, mode);
        for (const route of routesOf(app, one, mode)) await tests.check(route);
        await tests.changes();
        for (const group of groups) {
          await tests.become(["others", group]);
          await tests.group(group, true);
          await tests.become(["others"]);
          await tests.group(group, false);
        }
        cells += tests.cells;
      }
    };
    await inMode("blind");
    await inMode("seeing");
    assert.ok(cells > app.tables.length * 100, `only ${cells} cells`);
  } finally {
    await company.close();
    await db.close();
  }
}

const OPTIONS = { sanitizeOps: false, sanitizeResources: false } as const;

for (const example of ["guestbook", "rooms", "realworld"]) {
  Deno.test(
    `rights of ${example}: every table, field and route, as the algebra says`,
    OPTIONS,
    async () => {
      const app = await manifestOf(example);
      const groups = new Set(app.routes.map(({ meta }) => meta.ugroup ?? "keepers"));
      await matrix(app, [...groups]);
    },
  );
}

Deno.test("rights of a table for each kind of bits, as the algebra says", OPTIONS, async () => {
  const grants: Record<string, Bits> = {
    "vault.f0": 7,
    "vault.f2": 4,
    "people.hash": 6,
    "people.pin": 4,
  };
  const route = (await manifestOf("guestbook")).routes[0]!;
  const routes = [6, 7].map((perm) => ({
    ...route,
    meta: { ...route.meta, perm: perm as Bits, grants },
  }));
  await matrix({ tables: FIXTURE, routes, types: {} }, ["staff"]);
});
