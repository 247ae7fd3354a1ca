/**
 * tRPC with Drizzle (prepared statements) on postgres.js, a process of its own: `DATABASE` is its database,
 * `PORT` its port.
 *
 * @module
 */
import { initTRPC } from "@trpc/server";
import { fetchRequestHandler } from "@trpc/server/adapters/fetch";
import { eq, sql } from "drizzle-orm";
import { doublePrecision, pgTable, text } from "drizzle-orm/pg-core";
import { drizzle } from "drizzle-orm/postgres-js";
import postgres from "postgres";
import * as z from "zod";
import { retried } from "./store.ts";

const people = pgTable("people", {
  id: text().primaryKey(),
  name: text().notNull(),
  email: text().notNull(),
});
const accounts = pgTable("accounts", {
  id: text().primaryKey(),
  balance: doublePrecision().notNull(),
});
const db = drizzle(postgres(Deno.env.get("DATABASE") ?? "", { max: 10, fetch_types: false }));
const byId = db.select().from(people).where(eq(people.id, sql.placeholder("id"))).prepare("by_id");

const { router, procedure } = initTRPC.create();
const app = router({
  noop: procedure.input(z.object({ a: z.number(), b: z.string() })).query(({ input }) => input),
  getUser: procedure.input(z.object({ id: z.string() })).query(async ({ input }) =>
    (await byId.execute(input))[0] ?? null
  ),
  createUser: procedure.input(z.object({ name: z.string(), email: z.string() }))
    .mutation(async ({ input }) => {
      const id = crypto.randomUUID();
      await db.insert(people).values({ id, ...input });
      return id;
    }),
  transfer: procedure.input(z.object({ from: z.string(), to: z.string(), amount: z.number() }))
    .mutation(({ input: { from, to, amount } }) =>
      retried(() =>
        db.transaction(async (tx) => {
          const [a] = await tx.select().from(accounts).where(eq(accounts.id, from));
          const [b] = await tx.select().from(accounts).where(eq(accounts.id, to));
          const left = a!.balance - amount;
          await tx.update(accounts).set({ balance: left }).where(eq(accounts.id, from));
          await tx.update(accounts).set({ balance: b!.balance + amount }).where(
            eq(accounts.id, to),
          );
          return left;
        }, { isolationLevel: "serializable" })
      )
    ),
});

/** For the client's types. */
export type App = typeof app;

if (import.meta.main) {
  Deno.serve({
    hostname: "127.0.0.1",
    port: Number(Deno.env.get("PORT")),
    onListen: () => console.log("ready"),
  }, (req) => fetchRequestHandler({ endpoint: "", req, router: app }));
}
