/**
 * Kontract's own tables, where something that no function asks about would break a promise without a word.
 *
 * @module
 */
import type postgres from "postgres";
import { type Finding, trouble, warning } from "./finding.ts";

const MIGRATE = "Run 'kontract migrate up'.";

/** Looks at them; nothing where all is well. As the owner. */
export async function checkOwnTables(tx: postgres.TransactionSql): Promise<readonly Finding[]> {
  const [row] = await tx`
    select (select c.relpersistence = 'u' from pg_class c
             where c.oid = to_regclass('kontract_private.incarnation')) is true as unlogged,
           exists (select 1 from kontract_private.meta m
                    where m.name = 'lock salt' and m.value <> '') as salt,
           to_regclass('kontract_private.rebuilds') is not null as ledger,
           (select count(*)::int from kontract_private.keys) as keys`;
  const findings: Finding[] = [];
  if (row!.unlogged !== true) {
    findings.push(trouble(
      "schema",
      "Table 'kontract_private.incarnation' is not UNLOGGED: after a crash, calls from before it would be served.",
      "alter table kontract_private.incarnation set unlogged",
    ));
  }
  if (row!.salt !== true) {
    findings.push(trouble(
      "schema",
      "The secret of the tenants' locks is gone: their commits are refused.",
      MIGRATE,
    ));
  }
  if (Number(row!.keys) === 0) {
    findings.push(trouble(
      "schema",
      "No key is installed that a session's token could be verified with.",
      "Run 'kontract migrate up' with the app's KONTRACT_SECRET.",
    ));
  }
  if (row!.ledger !== true) return findings;
  const [left] = await tx`select count(*)::int as n from kontract_private.rebuilds`;
  if (Number(left!.n) > 0) {
    findings.push(warning(
      "schema",
      `${left!.n} table(s) are being rebuilt, or were left by a migration that was killed.`,
      "If no migration is running: run 'kontract migrate up', which drops them.",
    ));
  }
  return findings;
}
