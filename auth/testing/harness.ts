/**
 * What the auth suite works with: a service over some store, a clock that is turned by hand, a mailbox,
 * a counting limiter, an audit log, and counted password work.
 *
 * @module
 */
import assert from "node:assert/strict";
import { KontractError } from "../../_internal/errors.ts";
import type { AuditEvent } from "../audit.ts";
import type { AuthFunction, Principal, SessionTokens } from "../contract.ts";
import type { AuthMail } from "../mail.ts";
import type { AuthOptions } from "../options.ts";
import { platformPrimitive } from "../password/primitive.ts";
import { createAuthService } from "../service.ts";
import type { KontractAuth } from "../service.ts";
import type { AuthStore } from "../store.ts";

/** A store under test. */
export interface StoreUnderTest {
  readonly store: AuthStore;
  /** The tenant to work in. */
  readonly tenant: string;
  /** True where the database refuses the family. */
  isRevoked(family: string): Promise<boolean>;
  close(): Promise<void>;
}

/** Makes an empty store. */
export type StoreFactory = () => Promise<StoreUnderTest>;

/** Who is calling. */
export interface Caller {
  readonly principal?: Principal | null;
  readonly address?: string;
  readonly tenant?: string;
}

/** A passphrase that the policy accepts. */
export const PASSWORD = "seven green ladders";

/** Another one. */
export const OTHER_PASSWORD = "eleven quiet rivers";

/** A service and everything around it. */
export class Harness {
  now: number = Date.UTC(2026, 0, 1);
  readonly mails: AuthMail[] = [];
  readonly events: AuditEvent[] = [];
  /** Iterations and scrypt costs, in order. */
  readonly work: string[] = [];
  /** Runs once, in the middle of the next password derivation: what happens meanwhile elsewhere. */
  meanwhile: (() => Promise<unknown>) | null = null;
  readonly auth: KontractAuth;
  readonly #under: StoreUnderTest;
  readonly #counts = new Map<string, number>();
  readonly #background: Promise<unknown>[] = [];

  constructor(under: StoreUnderTest, options: Partial<AuthOptions> = {}) {
    this.#under = under;
    this.auth = createAuthService({
      secrets: [new Uint8Array(32).fill(7)],
      store: under.store,
      limiter: (key, limit) => {
        const count = (this.#counts.get(key) ?? 0) + 1;
        this.#counts.set(key, count);
        return Promise.resolve({ allowed: count <= limit, retryAfter: count <= limit ? 0 : 1000 });
      },
      mail: {
        send: (mail) => {
          this.mails.push(mail);
          return Promise.resolve();
        },
      },
      audit: (event) => this.events.push(event),
      clock: () => this.now,
      background: (work) => this.#background.push(work),
      appName: "Guestbook",
      registration: "immediate",
      password: { scheme: "pbkdf2", iterations: 100_000 },
      primitive: {
        pbkdf2: async (password, salt, iterations, length) => {
          this.work.push(`pbkdf2 ${iterations}`);
          const { meanwhile } = this;
          this.meanwhile = null;
          await meanwhile?.();
          return await platformPrimitive.pbkdf2(password, salt, iterations, length);
        },
        scrypt: (password, salt, cost, length) => {
          this.work.push(`scrypt ${cost.logN}`);
          return platformPrimitive.scrypt(password, salt, cost, length);
        },
      },
      ...options,
    });
  }

  get tenant(): string {
    return this.#under.tenant;
  }

  /** Calls an auth function. */
  async call(name: AuthFunction, argument?: unknown, caller: Caller = {}): Promise<unknown> {
    const answer = await this.auth.call(name, argument, {
      tenant: caller.tenant ?? this.tenant,
      address: caller.address ?? "192.0.2.1",
      principal: caller.principal ?? null,
    });
    // What leaves must be plain JSON.
    assert.deepEqual(JSON.parse(JSON.stringify(answer)), answer);
    return answer;
  }

  /** Calls an auth function that answers with tokens. */
  async tokens(name: AuthFunction, argument?: unknown, caller?: Caller): Promise<SessionTokens> {
    const answer = await this.call(name, argument, caller) as SessionTokens;
    assert.equal(typeof answer.access, "string");
    assert.equal(typeof answer.refresh, "string");
    return answer;
  }

  /** The error that a call ends with; fails where it does not. */
  async fails(name: AuthFunction, argument?: unknown, caller?: Caller): Promise<KontractError> {
    const result = await this.call(name, argument, caller).then(
      () => null,
      (error: unknown) => error,
    );
    assert.ok(result instanceof KontractError, `${name} must fail: ${String(result)}`);
    return result;
  }

  /** The caller that some tokens stand for. */
  async as(tokens: SessionTokens): Promise<{ readonly principal: Principal }> {
    return { principal: await this.auth.verify(tokens.access) };
  }

  /** Registers and gives the tokens. */
  register(email = "ann@example.com", password: string = PASSWORD): Promise<SessionTokens> {
    return this.tokens("register", { email, password });
  }

  /** The newest mail, once all background work has ended. */
  async lastMail(): Promise<AuthMail> {
    await Promise.all(this.#background);
    const mail = this.mails.at(-1);
    assert.ok(mail !== undefined, "a mail must have been sent");
    return mail;
  }

  /** Waits for background work. */
  async settle(): Promise<void> {
    await Promise.all(this.#background);
  }

  isRevoked(family: string): Promise<boolean> {
    return this.#under.isRevoked(family);
  }

  /** Types of the audit events so far. */
  audited(): string[] {
    return this.events.map((event) => event.type);
  }
}

/** Registers one test with a fresh store and service. */
export function authTest(
  factory: StoreFactory,
  name: string,
  body: (harness: Harness, under: StoreUnderTest) => Promise<void>,
  options: Partial<AuthOptions> = {},
): void {
  Deno.test(name, async () => {
    const under = await factory();
    try {
      const harness = new Harness(under, options);
      await body(harness, under);
      await harness.settle();
    } finally {
      await under.close();
    }
  });
}

/** Code, message and data of an error: all that a client can see of it. */
export function visible(error: KontractError): unknown {
  return { code: error.code, message: error.message, data: error.data };
}
