/**
 * `env.storage.transaction`: a part of a call that is a transaction of its own.
 *
 * A unit has its own snapshot, taken by its first read, and its own commit, which is final: what the call does
 * afterwards, even failing, does not undo it. A conflict runs the unit again and not the call. Inside it
 * `env.storage` is the unit's, wherever it is named; the call's own buffered writes are not seen there, and
 * the call goes on reading the snapshot it began with.
 *
 * **Applied once.** The n-th unit of a request has an identity of its own, the request's and n, and its result is
 * stored with its commit. Where the request is sent again, or the call is run again for a conflict, a unit that
 * was applied gives the stored result and does nothing. So units begin in the same order in every run: a
 * loop does that; a race between units does not. Who sends another request under the same identity gets
 * `REPLAY`, not the result of a unit that another request ran.
 *
 * **Messages** of a unit go out with its commit. One that wrote nothing commits nothing: its messages go
 * with the call's own.
 *
 * @module
 */
import { errorFrom } from "../_internal/error_classes.ts";
import { KontractError } from "../_internal/errors.ts";
import { jsonDecode, jsonEncode } from "../_internal/json_codec.ts";
import type { CallOptions, StorageEngine } from "../storage/contract.ts";
import { CallContext, type Emitted } from "./context.ts";
import { type RequestStamp, stamped, unstamped } from "./request_stamp.ts";

/** What a unit came to. */
export interface UnitResult {
  readonly answer: Uint8Array;
  /** Messages that have not been sent. */
  readonly emitted: readonly Emitted[];
}

/** Runs the n-th unit of a call in storage; `body` gets the tables. */
export type RunUnit = (
  number: number,
  body: (storage: Readonly<Record<string, unknown>>) => Promise<UnitResult>,
) => Promise<UnitResult>;

/** A result is stored as it is, whatever its type. */
const ANY = { kind: "unknown" } as const;

/**
 * Runs `body` as a unit of `call`.
 *
 * @throws {KontractError} what `body` throws; `CONFLICT` after its retries; `REPLAY` where another request ran
 *   a unit under this identity; `VALIDATION` inside another unit or where the result is not plain data
 */
export function unit<T>(call: CallContext, body: () => T | Promise<T>): Promise<T> {
  const { runUnit } = call.options;
  if (runUnit === null || typeof body !== "function") {
    return Promise.reject(
      new KontractError(
        "VALIDATION",
        runUnit === null
          ? "A transaction within a transaction: 'env.storage.transaction' is for the call itself."
          : "'env.storage.transaction' takes a function.",
      ),
    );
  }
  return call.owned(run(call, runUnit, call.nextUnit(), body));
}

async function run<T>(
  call: CallContext,
  runUnit: RunUnit,
  number: number,
  body: () => T | Promise<T>,
): Promise<T> {
  try {
    const { answer, emitted } = await runUnit(number, async (storage) => {
      const inner = new CallContext({ ...call.options, storage, runUnit: null }, call);
      try {
        const value = await inner.run(body);
        const answer = new TextEncoder().encode(JSON.stringify(jsonEncode(ANY, {}, value)));
        return { answer, emitted: inner.emitted };
      } finally {
        inner.end();
      }
    });
    call.emitted.push(...emitted);
    return jsonDecode(ANY, {}, JSON.parse(new TextDecoder().decode(answer))) as T;
  } catch (error) {
    throw final(error);
  }
}

/** The unit has been run again as often as it may: for the call its failure is an answer, not a reason to run again. */
function final(error: unknown): unknown {
  if (!(error instanceof KontractError)) return error;
  const { code, message, data } = error;
  if (code !== "CONFLICT" && code !== "SNAPSHOT_TOO_OLD" && code !== "DATABASE_UNAVAILABLE") {
    return error;
  }
  const cause = new Error("a unit of the call failed", { cause: error });
  return errorFrom(code, message, { cause, ...(data === undefined ? {} : { data }) });
}

/** What a unit takes from its call. */
export interface UnitRunnerParts {
  /** Conflict retries at most. */
  readonly retry: number;
  /** What the request's identity stands for; null where it has none. */
  readonly stamp: RequestStamp | null;
  /** Called after a unit, with the change feeds and messages that belong to its commit; none where it had none. */
  readonly onCommit: (feeds: readonly string[], emitted: readonly Emitted[]) => void;
}

/** {@link RunUnit} over storage: identity, retries and what a commit brings with it. */
export function unitRunner(
  engine: Pick<StorageEngine, "run">,
  options: CallOptions,
  { retry, stamp, onCommit }: UnitRunnerParts,
): RunUnit {
  // Without an identity of the request, one for this call: it may itself be run again.
  const lane = options.effect === null
    ? `unit/${crypto.randomUUID()}`
    : `${options.effect.lane}/${options.effect.reqno}`;
  return async (number, body) => {
    const effect = options.readOnly ? null : { lane, reqno: BigInt(number) };
    const mark = stamp?.soFar() ?? null;
    let emitted: readonly Emitted[] = [];
    const outcome = await engine.run(
      { ...options, retry: options.readOnly ? 0 : retry, effect },
      async ({ storage }) => {
        const result = await body(storage);
        emitted = result.emitted;
        return mark === null ? result.answer : stamped(mark, result.answer);
      },
    );
    onCommit(outcome.feeds, outcome.wrote ? emitted : []);
    return {
      answer: mark === null ? outcome.answer : unstamped(mark, outcome.answer),
      emitted: outcome.wrote || outcome.replayed ? [] : emitted,
    };
  };
}
