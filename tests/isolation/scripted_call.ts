/**
 * A call whose body is driven from outside, step by step, so that a test decides how several calls
 * interleave. Every step waits for the one before; no timing is involved.
 *
 * @module
 */
import type { CallOptions, CallOutcome, StorageEngine } from "../../storage/contract.ts";
import type { AnyStorage } from "../../storage/testing/tables.ts";

/** Why a scripted call ended without a commit. */
class Aborted extends Error {}

type Step = (storage: AnyStorage) => Promise<void>;

/** One call, open until {@link ScriptedCall.commit} or {@link ScriptedCall.abort}. */
export class ScriptedCall {
  readonly #outcome: Promise<CallOutcome>;
  #next = Promise.withResolvers<Step | "commit" | "abort">();

  /** Begins; the body waits for its first step. Give options with `retry: 0`. */
  constructor(engine: StorageEngine, options: CallOptions) {
    this.#outcome = engine.run(options, async (transaction) => {
      for (;;) {
        const step = await this.#next.promise;
        this.#next = Promise.withResolvers();
        if (step === "commit") return new Uint8Array();
        if (step === "abort") throw new Aborted();
        await step(transaction.storage as AnyStorage);
      }
    });
    this.#outcome.catch(() => {});
  }

  /** Runs one step inside the body and gives back what it returned; a failure is the step's alone. */
  do<T>(work: (storage: AnyStorage) => Promise<T>): Promise<T> {
    const done = Promise.withResolvers<T>();
    this.#next.resolve(async (storage) => {
      await work(storage).then(done.resolve, done.reject);
    });
    // A call that is over would leave the step waiting for ever.
    this.#outcome.then(
      () => done.reject(new Error("The call has ended.")),
      (error: unknown) => done.reject(error),
    );
    return done.promise;
  }

  /** Lets the body return and waits for the commit. */
  commit(): Promise<CallOutcome> {
    this.#next.resolve("commit");
    return this.#outcome;
  }

  /** Makes the body throw. */
  async abort(): Promise<void> {
    this.#next.resolve("abort");
    await this.#outcome.catch((error: unknown) => {
      if (!(error instanceof Aborted)) throw error;
    });
  }
}
