/**
 * Hono with postgres.js and zod, a process of its own: `DATABASE` is its database, `PORT` its port.
 *
 * @module
 */
import { Hono } from "hono";
import { HTTPException } from "hono/http-exception";
import { validator } from "hono/validator";
import postgres from "postgres";
import * as z from "zod";
import { retried } from "./store.ts";

const sql = postgres(Deno.env.get("DATABASE")!, { max: 10, fetch_types: false });

/** The body, where it has this type. */
function body<T extends z.ZodType>(schema: T) {
  return validator("json", (value) => {
    const parsed = schema.safeParse(value);
    if (!parsed.success) throw new HTTPException(400);
    return parsed.data;
  });
}

const app = new Hono()
  .post(
    "/noop",
    body(z.object({ a: z.number(), b: z.string() })),
    (c) => c.json(c.req.valid("json")),
  )
  .post("/getUser", body(z.object({ id: z.string() })), async (c) => {
    const { id } = c.req.valid("json");
    const [row] = await sql<{ id: string; name: string; email: string }[]>`
      select id, name, email from people where id = ${id}`;
    return c.json(row ?? null);
  })
  .post("/createUser", body(z.object({ name: z.string(), email: z.string() })), async (c) => {
    const { name, email } = c.req.valid("json");
    const id = crypto.randomUUID();
    await sql`insert into people (id, name, email) values (${id}, ${name}, ${email})`;
    return c.json(id);
  })
  .post(
    "/transfer",
    body(z.object({ from: z.string(), to: z.string(), amount: z.number() })),
    async (c) => {
      const { from, to, amount } = c.req.valid("json");
      const left = await retried(() =>
        sql.begin("isolation level serializable", async (tx) => {
          const [a] = await tx`select balance from accounts where id = ${from}`;
          const [b] = await tx`select balance from accounts where id = ${to}`;
          await tx`update accounts set balance = ${a!.balance - amount} where id = ${from}`;
          await tx`update accounts set balance = ${b!.balance + amount} where id = ${to}`;
          return a!.balance - amount as number;
        })
      );
      return c.json(left);
    },
  );

/** For the client's types. */
export type App = typeof app;

if (import.meta.main) {
  Deno.serve({
    hostname: "127.0.0.1",
    port: Number(Deno.env.get("PORT")),
    onListen: () => console.log("ready"),
  }, app.fetch);
}
