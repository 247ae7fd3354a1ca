/**
 * The trigger on auth's table of users that brings changed groups to open sessions.
 *
 * @module
 */
import { alwaysFires } from "./checks.ts";
import { identifier } from "./definer.ts";
import type { Statements } from "./statements.ts";

/** Auth's table of users. */
export const USERS = "_users";

/** Name of its trigger. */
export const GROUPS_TRIGGER = "groups";

/** Group changes reach open sessions in the same transaction. */
export function followGroups(ptr: string): readonly string[] {
  const name = `kontract_private.${identifier(ptr)}`;
  return [
    `create or replace trigger ${GROUPS_TRIGGER} after insert or update on ${name} for each row
       execute function kontract_private.sync_groups()`,
    alwaysFires(name, GROUPS_TRIGGER),
  ];
}

/** Whether they do, under every setting. */
export async function followsGroups(sql: Statements, ptr: string): Promise<boolean> {
  const [row] = await sql`
    select 1 from pg_trigger where tgrelid = to_regclass(${`kontract_private.${identifier(ptr)}`})
       and tgname = ${GROUPS_TRIGGER} and tgenabled = 'A'`;
  return row !== undefined;
}
