/**
 * The app of `bench/peers.ts` as a user of Kontract would write it; source texts, since it is compiled
 * in a folder of its own.
 *
 * @module
 */

/** Files of the app, path → text. */
export const APP: Readonly<Record<string, string>> = {
  "src/schema.ts": `
import { perms, primkey, table } from "@kontract/kontract";

@table("people", { perm: perms.RWX })
export class Person {
  @primkey
  id!: string;
  name!: string;
  email!: string;
}

@table("accounts", { perm: perms.RWX })
export class Account {
  @primkey
  id!: string;
  balance!: number;
}
`,
  "src/people.ts": `
import { backend, env, perms, ValidationError } from "@kontract/kontract";
import type { Person } from "./schema.ts";

export class People {
  @backend({ readOnly: true })
  static noop(a: number, b: string): Promise<{ a: number; b: string }> {
    return Promise.resolve({ a, b });
  }

  @backend({ perm: perms.R__, readOnly: true })
  static async getUser(id: string): Promise<Person | null> {
    return await env.storage.people.get(id);
  }

  @backend({ perm: perms.RW_ })
  static async createUser(name: string, email: string): Promise<string> {
    const id = crypto.randomUUID();
    await env.storage.people.set(id, { name, email });
    return id;
  }

  /** Moves an amount; returns what is left. */
  @backend({ perm: perms.RW_, retry: 50 })
  static async transfer(from: string, to: string, amount: number): Promise<number> {
    const rows = await env.storage.accounts.getMany([from, to]);
    const [a, b] = rows;
    if (!a || !b) throw new ValidationError("There is no such account.");
    await env.storage.accounts.set(from, { balance: a.balance - amount });
    await env.storage.accounts.set(to, { balance: b.balance + amount });
    return a.balance - amount;
  }

  /** Fills the tables. */
  @backend({ perm: perms.RW_ })
  static async seed(first: number, count: number): Promise<void> {
    for (let n = first; n < first + count; n++) {
      await env.storage.people.set(String(n), { name: "User " + n, email: "user" + n + "@example.com" });
      await env.storage.accounts.set(String(n), { balance: 1000 });
    }
  }
}
`,
};
