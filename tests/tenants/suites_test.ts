/**
 * What storage promises, it promises in every tenant: the suites that `main` passes, run in another one.
 *
 * @module
 */
const SUITES = [
  "../../storage/engine_test.ts",
  "../../storage/changes_test.ts",
  "../../storage/feed_groups_test.ts",
  "../model/model_test.ts",
  "../isolation/anomalies_test.ts",
  "../isolation/history_test.ts",
];

if (Deno.env.get("KONTRACT_LONG") === "1") {
  SUITES.push(
    "../auth_service_test.ts",
    "../../storage/pages_test.ts",
    "../../storage/migrate/migrations_test.ts",
  );
}

for (const suite of SUITES) await import(`${suite}?tenant=acme`);
