/**
 * Which statement commits a call, and its parameters: one row, some rows of one table, or everything.
 * The special forms promise the same as `commit` and cost the database less.
 *
 * @module
 */
import { errorFrom } from "../_internal/error_classes.ts";
import type { KontractError } from "../_internal/errors.ts";
import type { CallOptions } from "./contract.ts";
import type { SqlParam } from "./database.ts";
import { isLarger, STORAGE_LIMITS } from "./limits.ts";
import type { Snapshot } from "./read_context.ts";
import { tableKey } from "./table_key.ts";
import type { TableOps } from "./table_state.ts";
import { DEFAULT_TENANT, statementOf } from "./tenant_name.ts";

/** A registered statement and its parameters. */
export type Statement = readonly [name: string, params: readonly SqlParam[]];

/** Keys up to which single keys are locked; from here on the table is. */
const FEW_KEYS = 64;
/** In place of a version where there was no row. */
const ABSENT = "0";

/**
 * The statement.
 *
 * @throws {KontractError} `TOO_LARGE`
 */
export function commitStatement(
  ops: readonly TableOps[],
  options: CallOptions,
  snapshot: Snapshot | null,
  answer: Uint8Array,
): Statement {
  const { session, perm, ugroup, effect } = options;
  const head = [session.sid, session.owner, perm, ugroup];
  const call: readonly SqlParam[] = [
    snapshot?.snap ?? null,
    snapshot?.incarnation ?? null,
    effect?.lane ?? null,
    effect?.reqno ?? null,
    effect === null ? null : answer,
  ];
  const [part, ...others] = ops;
  const inTenant = [session.sid, session.tenant, ...head.slice(1), ...call];
  if (part !== undefined && others.length === 0 && part.q.length === 0) {
    const one = oneRow(part);
    const own = session.tenant === DEFAULT_TENANT;
    if (one !== null && own) {
      return [`put:${tableKey(part.t)}`, [...head, part.g, ...call, ...one]];
    }
    if (one !== null && part.plain) return ["tenant:put", [...inTenant, part.t, ...one]];
    if (part.plain && part.r.length + part.w.length <= FEW_KEYS) {
      const rows = fewRows(part);
      return own
        ? [`put_many:${tableKey(part.t)}`, [...head, ...call, ...rows]]
        : ["tenant:put_many", [...inTenant, part.t, ...rows]];
    }
  }
  const all = `[${ops.map(everything).join(",")}]`;
  return [statementOf(session.tenant, "commit"), [...inTenant, bounded(all)]];
}

/** Key, whether and what of it was read, data; where all that was read and written is one key. */
function oneRow(part: TableOps): readonly SqlParam[] | null {
  const [write, ...more] = part.w;
  if (write === undefined || more.length > 0 || part.r.length > 1) return null;
  const [id, data] = write;
  const read = part.r[0];
  if (read !== undefined && read[0] !== id) return null;
  return [id, read !== undefined, read?.[1] ?? null, data === null ? null : row(part.t, id, data)];
}

/**
 * What is written with what was seen of it, what is deleted, and what was read beside; see `put_many`.
 *
 * @throws {KontractError} `TOO_LARGE`
 */
function fewRows(part: TableOps): readonly SqlParam[] {
  const seen = new Map(part.r.map(([id, txid]) => [id, txid ?? ABSENT]));
  const ids: string[] = [];
  const rows: string[] = [];
  const versions: (string | null)[] = [];
  const gone: string[] = [];
  for (const [id, data] of part.w) {
    if (data === null) {
      gone.push(id);
      continue;
    }
    const text = row(part.t, id, data);
    ids.push(id);
    rows.push(text);
    versions.push(seen.get(id) ?? null);
    seen.delete(id);
  }
  if (isLarger(rows, STORAGE_LIMITS.commitBytes)) throw tooMuch();
  const known = versions.some((version) => version !== null);
  return [ids, known ? versions : [], rows, gone, [...seen.keys()], [...seen.values()]].map((
    list,
  ) => list.length === 0 ? null : list);
}

/** One table's part as `commit` takes it. */
function everything(part: TableOps): string {
  const rows = part.w.map(([id, data]) =>
    `[${JSON.stringify(id)},${data === null ? "null" : row(part.t, id, data)}]`
  );
  return `{"t":${JSON.stringify(part.t)},"g":${part.g ?? "null"},"r":${
    JSON.stringify(part.r)
  },"q":${JSON.stringify(part.q)},"w":[${rows.join(",")}]}`;
}

/** JSON of one row; each row is turned into text once. */
function row(table: string, id: string, data: unknown): string {
  const text = JSON.stringify(data);
  if (isLarger([text], STORAGE_LIMITS.rowBytes)) {
    throw errorFrom("TOO_LARGE", `Row '${id}' of table '${table}' is too large.`);
  }
  return text;
}

function bounded(text: string): string {
  if (isLarger([text], STORAGE_LIMITS.commitBytes)) throw tooMuch();
  return text;
}

function tooMuch(): KontractError {
  return errorFrom("TOO_LARGE", "The call writes too much at once.");
}
