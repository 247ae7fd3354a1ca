/**
 * One question to every table of every tenant, for commands that look at all of them.
 *
 * There may be tens of thousands. A transaction that asked them all would hold more locks than a server has
 * room for, and a connection remembers each table it has met, at some 40 KiB. So each table is asked in a
 * subtransaction that is taken back with its locks, and each page of tables by another connection. A table that never
 * held a row is not asked: it has no page and no horizon, which is known at a fifth of the cost.
 *
 * @module
 */
import type postgres from "postgres";
import { withAdmin } from "./admin.ts";
import { literal, OWNER_ROLE } from "./definer.ts";

/** A table's answer. */
export interface TableAnswer {
  readonly tenant: string;
  readonly table: string;
  readonly answer: number;
}

interface Page {
  readonly answers: readonly (readonly [tenant: string, table: string, answer: number])[];
  /** Last table of a full page. */
  readonly last: readonly [tenant: string, table: string] | null;
}

/** Tables that one connection asks. */
const PAGE_TABLES = 1_000;

/**
 * The answers above zero, as they come, of tables that hold something or did. `question` is a SELECT of one whole number,
 * `%1$I` in it the name of the table in the private schema. As the owner, in transactions that cannot write.
 */
export async function* askTables(
  admin: { readonly adminUrl: string; readonly name: string },
  question: string,
): AsyncGenerator<TableAnswer> {
  for (let after: Page["last"] = ["", ""]; after !== null;) {
    const from = after;
    const page: Page = await withAdmin(
      admin,
      (sql) => sql.begin("read only", (tx) => askPage(tx, question, from)) as Promise<Page>,
    );
    for (const [tenant, table, answer] of page.answers) yield { tenant, table, answer };
    after = page.last;
  }
}

async function askPage(
  tx: postgres.TransactionSql,
  question: string,
  [tenant, table]: readonly [string, string],
): Promise<Page> {
  await tx.unsafe(`set local role ${OWNER_ROLE}`);
  await tx.unsafe(`do $do$
    declare
      t record; answer bigint; answers jsonb := '[]'; last jsonb; n int := 0;
    begin
      for t in select st.owner, st.id, st.ptr, st.horizon, c.oid from kontract.storage st
                 left join pg_class c on c.relname = st.ptr and c.relnamespace = 'kontract_private'::regnamespace
                where (st.owner, st.id) > (${literal(tenant)}, ${literal(table)})
                order by st.owner, st.id limit ${PAGE_TABLES} loop
        answer := null;
        if t.horizon > '0' or pg_relation_size(t.oid) > 0 then
          begin
            execute format(${literal(question)}, t.ptr) into answer;
            raise exception using errcode = 'KT000';
          exception
            when sqlstate 'KT000' then null;
            when undefined_table then null; -- its tenant was dropped meanwhile
          end;
        end if;
        n := n + 1;
        last := jsonb_build_array(t.owner, t.id);
        if answer > 0 then
          answers := answers || jsonb_build_array(last || to_jsonb(answer));
        end if;
      end loop;
      perform set_config('kontract.page', jsonb_build_object('answers', answers,
        'last', case when n = ${PAGE_TABLES} then last end)::text, true);
    end $do$`);
  const [row] = await tx`select current_setting('kontract.page')::json as page`;
  return row!.page as Page;
}
