import assert from "node:assert/strict";
import { join } from "node:path";
import { makeApp } from "../../compiler/testing/app.ts";
import { testDatabase } from "../../tests/postgres.ts";
import { CommandProcess } from "../testing/command_process.ts";

const source = (age: string): string =>
  `import { backend, env, perms, primkey, table } from "@kontract/kontract";

/** People. */
@table("people", { perm: perms.RWX })
export class Person {
  @primkey
  id!: string;
  ${age}
}

/** Writes one. */
export const add = backend({ perm: perms.RWX }, async (id: string): Promise<void> => {
  await env.storage.people.set(id, { age: ${age.includes("number") ? "1" : '"1"'} });
});
`;

Deno.test({
  name: "kontract migrate and doctor: from a change in the source to the database and back",
  sanitizeOps: false,
  sanitizeResources: false,
  async fn(t) {
    const db = await testDatabase([]);
    await using app = await makeApp({ "src/people.ts": source("age!: string;") });
    await using commands = new CommandProcess();
    const env = {
      DATABASE_URL: db.gatewayUrl,
      DATABASE_ADMIN_URL: db.adminUrl,
      KONTRACT_SECRET: db.secrets[0]!.toBase64({ alphabet: "base64url", omitPadding: true }),
    };
    const kontract = (...args: string[]) => commands.run(args, env);
    const migrate = (...args: string[]) => kontract("migrate", ...args, app.root);
    const age = async (): Promise<unknown> => {
      const [row] = await db.admin`select ptr from kontract.storage where id = 'people'`;
      const [found] = await db.admin.unsafe(
        `select data->'age' as age from kontract_private.${row!.ptr} where _deleted_txid is null`,
      );
      return found?.age;
    };
    let file = "";
    try {
      await t.step("up makes what is declared, and says so once", async () => {
        const first = await migrate("up");
        assert.equal(first.code, 0, first.stderr);
        assert.match(first.stdout, /create table 'people'/);
        assert.match((await migrate("up")).stdout, /^The database is up to date\./);
        assert.equal((await migrate("status")).code, 0);
        const [row] = await db.admin`select ptr from kontract.storage where id = 'people'`;
        await db.admin.unsafe(`insert into kontract_private.${row!.ptr} (id, data, _owner, _order)
          values ('a', '{"id":"a","age":"41"}', 'x', 1)`);
      });

      await t.step("a dangerous change is refused with field, file and what to write", async () => {
        await app.write("src/people.ts", source("age!: number;"));
        const refused = await migrate("up");
        assert.equal(refused.code, 1);
        const line = source("age!: number;").split("\n").indexOf("  age!: number;") + 1;
        assert.ok(
          refused.stderr.includes(
            `MIGRATION_REFUSED: Table 'people', field 'age' (src/people.ts:${line})`,
          ),
          refused.stderr,
        );
        assert.match(refused.stderr, /kontract migrate create/);
        const status = await migrate("status");
        assert.equal(status.code, 1);
        assert.match(status.stdout, /needs a migration: Table 'people', field 'age'/);
      });

      await t.step("create writes a file that names the change; it is applied", async () => {
        const created = await migrate("create", "age_as_number");
        assert.equal(created.code, 0, created.stderr);
        file = /migrations\/(\d{14}_age_as_number\.ts)/.exec(created.stdout)![1]!;
        const text = await app.read(join("migrations", file));
        assert.match(text, /m\.transform\("people", \(row\) => \(\{/);
        assert.match(
          text,
          /age: row\["age"\] == null \? unanswered\(.*\) : Number\(row\["age"\]\)/,
        );
        await app.write(
          join("migrations", file),
          text.replace(/unanswered\("what 'people\.age' was before"\)/, "String(row.age)"),
        );
        assert.match((await migrate("status")).stdout, /pending +\d{14}_age_as_number/);
        const applied = await migrate("up");
        assert.equal(applied.code, 0, applied.stderr);
        assert.match(applied.stdout, /rebuild table 'people' \(1 rows copied\)/);
        assert.equal(await age(), 41);
        const status = await kontract("migrate", "status", app.root, "--json");
        assert.equal(status.code, 0, status.stdout);
        assert.equal(JSON.parse(status.stdout).files[0].state, "applied");
      });

      await t.step(
        "doctor finds nothing wrong, and something once a file was changed",
        async () => {
          const healthy = await kontract("doctor", app.root);
          assert.equal(healthy.code, 0, healthy.stdout + healthy.stderr);
          const text = await app.read(join("migrations", file));
          await app.write(join("migrations", file), `${text}// later\n`);
          const ill = await kontract("doctor", app.root, "--json");
          assert.equal(ill.code, 1);
          const findings = JSON.parse(ill.stdout) as { level: string; message: string }[];
          assert.deepEqual(findings.filter(({ level }) => level === "problem").length, 1);
          await app.write(join("migrations", file), text.replaceAll("\n", "\r\n"));
          assert.equal((await kontract("doctor", app.root)).code, 0);
        },
      );

      await t.step("down gives the old table back", async () => {
        const back = await migrate("down");
        assert.equal(back.code, 0, back.stderr);
        assert.match(back.stdout, /table 'people' is the old one again/);
        assert.equal(await age(), "41");
        assert.match((await migrate("down")).stdout, /No migration file was ever applied here/);
      });

      await t.step(
        "rebase ends what was handed out before, and nothing goes without the admin's database",
        async () => {
          const unneeded = await migrate("rebase");
          assert.equal(unneeded.code, 1);
          assert.match(unneeded.stderr, /Nothing was done: .*'kontract migrate rebase --force'/);
          assert.match(
            (await migrate("rebase", "--force")).stdout,
            /^new epoch: .*\nNow run 'kontract migrate up'/,
          );
          const refused = await commands.run(["migrate", "up", app.root], {
            ...env,
            DATABASE_ADMIN_URL: "",
          });
          assert.equal(refused.code, 1);
          assert.match(
            refused.stderr,
            /^CONFIG: DATABASE_URL is set and DATABASE_ADMIN_URL is not/m,
          );
        },
      );

      await t.step(
        "a table that is declared no more is kept, as 'up' says, and a new file says how to drop it",
        async () => {
          await app.write(
            "src/people.ts",
            source("age!: string;").replace('"people"', '"folk"')
              .replace("storage.people", "storage.folk"),
          );
          await Deno.remove(join(app.root, "migrations", file));
          const up = await migrate("up");
          assert.match(up.stdout, /create table 'folk'/, up.stderr);
          assert.match(
            up.stdout,
            /note: Table 'people' is not declared any more; its rows are kept/,
          );
          assert.equal((await migrate("create", "folk")).code, 0);
          const names = [...Deno.readDirSync(join(app.root, "migrations"))].map(({ name }) => name);
          const text = await app.read(join("migrations", names.find((name) => /folk/.test(name))!));
          assert.match(text, /m\.dropTable\("people"\)/);
          assert.match(text, /m\.renameTable\("people", "new name"\)/);
        },
      );

      await t.step("wrong words are answered with the right ones", async () => {
        for (const args of [[], ["sideways"], ["create"], ["up", "a", "b"]]) {
          const wrong = await kontract("migrate", ...args);
          assert.equal(wrong.code, 2, wrong.stderr);
        }
        const named = await migrate("create", "../elsewhere");
        assert.equal(named.code, 1);
        assert.match(named.stderr, /cannot be a migration's name/);
      });
    } finally {
      await db.close();
    }
  },
});
