/**
 * The built app, running for a test: on Deno, on a free port, over a database that exists for this test
 * only. Give the generated client its address and call the app's functions as a page would.
 *
 * ```ts ignore
 * import { startTestApp } from "@kontract/kontract/testing";
 * import { addNote, client } from "@/client";
 *
 * Deno.test("a note is kept", async () => {
 *   await using app = await startTestApp();
 *   client.configure({ url: app.url });
 *   await addNote("Buy milk");
 * });
 * ```
 *
 * It runs what is in `dist`, so build first (`kontract build`), as a new app's `deno task test` does. The
 * database is on the server of `DATABASE_ADMIN_URL` where that is set, else on an embedded one that ends
 * with the test; `DATABASE_URL` and the app's own database are never touched.
 *
 * @module
 */
import { join } from "node:path";
import postgres from "postgres";
import { KontractError } from "../_internal/errors.ts";
import { parseSecrets } from "../_internal/keys.ts";
import type { Manifest } from "../_internal/manifest.ts";
import { gatewayUrl } from "../storage/migrate/mod.ts";
import { appEnvironment } from "./dev/app_environment.ts";
import { type AppFolder, openAppFolder } from "./dev/app_folder.ts";
import { denoHost } from "./dev/deno_host.ts";
import { printOutput } from "./process/print_output.ts";
import { migrateApp } from "./dev/migrate_app.ts";
import { loadSecret, newSecret } from "./dev/secret.ts";
import { startEmbeddedPostgres } from "./embedded_postgres.ts";

/** What to run. */
export interface TestAppOptions {
  /** The app's folder; the current one where missing. */
  readonly folder?: string;
  /** Environment of the app beside this process's, for `secret("NAME")`. */
  readonly env?: Readonly<Record<string, string>>;
}

/** A running app. */
export interface TestApp extends AsyncDisposable {
  /** Its origin, for `client.configure({ url })`. */
  readonly url: string;
  /** The database as its administrator, to look inside or to prepare rows. It is a secret. */
  readonly databaseUrl: string;
  /** Ends it and removes its database; `await using` does this by itself. */
  stop(): Promise<void>;
}

/**
 * Starts the built app; resolves when it answers.
 *
 * @throws {KontractError} `CONFIG` where the folder is no app or is not built; what the database or the
 *   host throw.
 */
export async function startTestApp(options: TestAppOptions = {}): Promise<TestApp> {
  const app = await openAppFolder(options.folder ?? ".");
  const manifest = await builtManifest(app);
  const secret = await loadSecret(app);
  const running = new AsyncDisposableStack();
  try {
    const database = await ownDatabase(running);
    const { role, password } = database;
    await migrateApp(
      { adminUrl: database.adminUrl, gateway: { role, password }, hardening: "auto" },
      { manifest },
      parseSecrets(secret),
      app.root,
    );
    const state = await Deno.makeTempDir({ prefix: "kontract_test_" });
    running.defer(() => Deno.remove(state, { recursive: true }));
    const host = denoHost({
      outputs: null,
      dist: app.dist,
      state,
      env: appEnvironment({
        ...options.env,
        KONTRACT_SECRET: secret,
        DATABASE_URL: database.url,
      }),
      output: (stream) => void printOutput(stream, Deno.stderr),
    });
    running.defer(() => host.stop());
    const url = await host.load();
    const stop = (): Promise<void> => running.disposeAsync();
    return { url, databaseUrl: database.adminUrl, stop, [Symbol.asyncDispose]: stop };
  } catch (error) {
    await running.disposeAsync();
    throw error;
  }
}

async function builtManifest(app: AppFolder): Promise<Manifest> {
  const files = ["manifest.json", join("deno", "server.js")].map((file) => join(app.dist, file));
  for (const file of files) {
    const there = await Deno.stat(file).then((info) => info.isFile, () => false);
    if (!there) {
      throw new KontractError(
        "CONFIG",
        `The app in '${app.root}' is not built for Deno. Run 'kontract build' before its tests.`,
      );
    }
  }
  return JSON.parse(await Deno.readTextFile(files[0]!)) as Manifest;
}

interface OwnDatabase {
  readonly adminUrl: string;
  readonly url: string;
  readonly role: string;
  readonly password: string;
}

/** A new database; on a server that others use too, with a role of its own and both dropped in the end. */
async function ownDatabase(running: AsyncDisposableStack): Promise<OwnDatabase> {
  const given = Deno.env.get("DATABASE_ADMIN_URL") ?? "";
  const role = `kontract_test_${crypto.randomUUID().replaceAll("-", "").slice(0, 16)}`;
  const password = newSecret();
  if (given === "") {
    const server = await startEmbeddedPostgres();
    running.defer(() => server.stop());
    return { adminUrl: server.url, url: gatewayUrl(server.url, role, password), role, password };
  }
  await execute(given, `create database ${role}`);
  running.defer(() =>
    execute(given, `drop database if exists ${role} with (force)`, `drop role if exists ${role}`)
  );
  const url = new URL(given);
  url.pathname = `/${role}`;
  return { adminUrl: url.href, url: gatewayUrl(url.href, role, password), role, password };
}

async function execute(url: string, ...statements: readonly string[]): Promise<void> {
  const sql = postgres(url, { max: 1, onnotice: () => {} });
  try {
    for (const statement of statements) await sql.unsafe(statement);
  } catch (cause) {
    throw new KontractError(
      "DATABASE_UNAVAILABLE",
      "The database server of DATABASE_ADMIN_URL does not make a database for this test.",
      { cause },
    );
  } finally {
    await sql.end({ timeout: 5 });
  }
}
