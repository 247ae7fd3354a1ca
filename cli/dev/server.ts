/**
 * `start` and `dev`: database, build, migration, host and front, in the order that is fastest, and their
 * end in the opposite order.
 *
 * Everything that is started is registered with its end before anything else happens, so an error or a
 * signal at any moment leaves nothing behind. A failed build ends `start`; `dev` shows it and waits for
 * the next change, with the last good build's data untouched.
 *
 * @module
 */

import { join } from "node:path";
import { isErrorCode, KontractError } from "../../_internal/errors.ts";
import { parseSecrets } from "../../_internal/keys.ts";
import { addressesOf } from "../../_internal/manifest.ts";
import { appPaths } from "../../runtime/app_paths.ts";
import { startMaintenance } from "../../runtime/maintenance.ts";
import { clientPins } from "./client_pins.ts";
import { type AppFolder, openAppFolder } from "./app_folder.ts";
import { appEnvironment } from "./app_environment.ts";
import { type AppBuilder, appBuilder, type BuiltApp } from "./build_app.ts";
import { type AppDatabase, openDatabase } from "./database.ts";
import { denoHost } from "./deno_host.ts";
import { stampBuild, unchangedBuild } from "./build_stamp.ts";
import { DevFile } from "./dev_file.ts";
import { Front } from "./front.ts";
import type { DevHost, HostName } from "./host.ts";
import { readMigrationFiles } from "../migration_files.ts";
import { migrateApp, migrationState } from "./migrate_app.ts";
import { loadSecret } from "./secret.ts";
import { printOutput } from "../process/print_output.ts";
import { hasTerminal } from "../process/relay.ts";
import { readableLog } from "./readable_log.ts";
import { watchSources } from "./watch.ts";
import { workersHost } from "./workers_host.ts";

/** What to run. */
export interface ServeOptions {
  readonly folder: string;
  readonly host: HostName;
  readonly port: number;
  /** True: rebuild on changes and reload open pages. */
  readonly watch: boolean;
  /** Ends everything. */
  readonly signal: AbortSignal;
}

/** Runs until the signal is aborted; then all is stopped. */
export async function serveApp(options: ServeOptions): Promise<void> {
  const began = performance.now();
  await using running = new AsyncDisposableStack();
  const app = await openAppFolder(options.folder);
  await Deno.mkdir(app.own, { recursive: true });
  const lock = await DevFile.claim(app.devFile);
  running.defer(() => lock.release());
  await useTemporaryFolder(app, running);
  const front = new Front({
    hostname: "127.0.0.1",
    port: options.port,
    publicFolder: join(app.dist, "public"),
    reload: options.watch,
  });
  const session = new Session(options, app, front, running);
  try {
    await serve(options, session, lock, front, began);
  } finally {
    // Before the host, which would wait for the connections that the front keeps to it.
    await front.close();
  }
}

async function serve(
  options: ServeOptions,
  session: Session,
  lock: DevFile,
  front: Front,
  began: number,
): Promise<void> {
  const database = await session.begin();
  if (database === null) return;
  await lock.publish({
    url: front.url,
    databaseUrl: database.url,
    databaseAdminUrl: database.adminUrl ?? "",
  });
  const seconds = ((performance.now() - began) / 1000).toFixed(1);
  console.log(`\n  ${session.name} is at ${front.url}  (ready in ${seconds} s; Ctrl-C stops it)\n`);
  const serving = options.watch
    ? watchSources(
      session.root,
      {
        begun: () => session.expect(),
        changed: (isWhole) => session.rebuild(isWhole),
        outside: () => session.outside(),
      },
      Date.now() - (performance.now() - began),
      options.signal,
    )
    : aborted(options.signal);
  await Promise.race([serving, database.ended]);
  if (!options.signal.aborted) {
    throw new KontractError(
      "DATABASE_UNAVAILABLE",
      "The embedded PostgreSQL ended by itself. What was committed is safe; start again.",
    );
  }
}

/** What a build left undone is done after the first answers of it. */
const SETTLED_AFTER_MS = 100;
/** How long after a rebuild its sizes are held against the budget. */
const MEASURED_AFTER_MS = 1500;

/** One run: what is built again and again over one database and one host. */
class Session {
  readonly #options: ServeOptions;
  readonly #app: AppFolder;
  readonly #front: Front;
  readonly #running: AsyncDisposableStack;
  #secret = "";
  #database!: AppDatabase;
  #host!: DevHost;
  #builder!: AppBuilder;
  /** What the database was migrated to last. */
  #migrated = "";
  #stamping: Promise<void> = Promise.resolve();
  #settling: ReturnType<typeof setTimeout> | undefined;
  /** Measures what a build loads, some time after the last one. */
  #measuring: ReturnType<typeof setTimeout> | undefined;
  #measured: Promise<void> = Promise.resolve();
  #overBudget = "";
  /** The app's name, once a build has told it. */
  name = "The app";

  constructor(options: ServeOptions, app: AppFolder, front: Front, running: AsyncDisposableStack) {
    this.#options = options;
    this.#app = app;
    this.#front = front;
    this.#running = running;
  }

  /** The app's folder. */
  get root(): string {
    return this.#app.root;
  }

  /** First build; null where the signal came before it was done. */
  async begin(): Promise<AppDatabase | null> {
    this.#secret = await loadSecret(this.#app);
    const opening = openDatabase(this.#app);
    this.#running.defer(async () => {
      await (await opening.catch(() => null))?.stop();
    });
    const secrets = parseSecrets(this.#secret);
    this.#builder = appBuilder(this.#app, secrets, [this.#options.host], {
      layout: this.#options.watch ? "modules" : "bundle",
      sizes: false,
      signal: this.#options.signal,
    });
    this.#running.defer(() => this.#builder.close());
    this.#running.defer(() => {
      clearTimeout(this.#settling);
      clearTimeout(this.#measuring);
      return this.#measured;
    });
    const building = this.#firstBuild(secrets);
    building.catch(() => {});
    const interrupted = aborted(this.#options.signal).then(() => null);
    const database = await Promise.race([opening, interrupted]);
    if (database === null) return null;
    this.#database = database;
    if (database.adminUrl === null) {
      console.log("  DATABASE_ADMIN_URL is not set: the database is used as it is, not migrated.");
    }
    this.#host = this.#makeHost(database.url);
    this.#running.defer(() => this.#host.stop());
    // One that is being replaced, or has ended, is asked again in a minute.
    const clock = startMaintenance(async () => await this.#host.scheduled?.().catch(() => {}));
    this.#running.defer(() => clock.stop());
    const built = await Promise.race([this.#released(building), interrupted]);
    return built === null || this.#options.signal.aborted ? null : database;
  }

  /** `start` takes the last build where nothing has changed since. */
  async #firstBuild(secrets: readonly Uint8Array[]): Promise<BuiltApp> {
    if (this.#options.watch) return await this.#builder.build();
    const pins = await clientPins(secrets);
    const purpose = { hosts: [this.#options.host], pins };
    const manifest = await unchangedBuild(this.#app, purpose);
    if (manifest !== null) return { manifest, warnings: "", report: null };
    const began = Date.now();
    const built = await this.#builder.build();
    this.#stamping = stampBuild(this.#app, purpose, began).catch(() => {});
    this.#running.defer(() => this.#stamping);
    return built;
  }

  /** Files beside the app's folder that the last build has asked for. */
  outside(): readonly string[] {
    return this.#builder.outside();
  }

  /** A change is being written. */
  expect(): void {
    void this.#host.expect();
  }

  /**
   * Builds, migrates and swaps; a problem is shown, and what ran before is not touched. False where files were
   * still being written, see `Watching.changed`: then nothing has happened.
   */
  async rebuild(isWhole: () => Promise<boolean>): Promise<boolean> {
    clearTimeout(this.#settling);
    const began = performance.now();
    const building = this.#builder.buildEarly(isWhole);
    const built = building.then(() => performance.now(), () => began);
    const released = await this.#released(building);
    if (released === null) return false;
    if (released) {
      const all = performance.now() - began, swap = performance.now() - await built;
      console.log(`  rebuilt in ${all.toFixed(0)} ms (${swap.toFixed(0)} ms of it to serve it)`);
    }
    this.#settling = setTimeout(() => void this.#builder.settle(), SETTLED_AFTER_MS);
    return true;
  }

  /** Migrates to a build and serves it. False where it failed and `dev` shows why; null where there is none. */
  async #released(building: Promise<BuiltApp | null>): Promise<boolean | null> {
    try {
      const built = await building;
      if (built === null) return null;
      if (built.warnings !== "") console.error(built.warnings);
      this.name = built.manifest.app;
      await this.#migrate(built);
      await this.#front.hold();
      const isApp = appPaths(addressesOf(built.manifest));
      const origin = await this.#host.load();
      this.#front.serve(origin, isApp, this.#host.socket);
      if (this.#options.watch) this.#measureLater();
      return true;
    } catch (error) {
      if (this.#options.signal.aborted) return null;
      if (!this.#options.watch) throw error;
      const code = error instanceof KontractError && isErrorCode(error.code)
        ? error.code
        : "INTERNAL";
      const detail = error instanceof Error ? error.message : String(error);
      console.error(detail);
      console.error("  Until this is right, pages and calls are answered with it.");
      this.#front.fail({ code, status: 500, title: "The app cannot be served", detail });
      return false;
    }
  }

  /** Bundling takes longer than a rebuild, so it waits until nobody is saving files. */
  #measureLater(): void {
    clearTimeout(this.#measuring);
    this.#measuring = setTimeout(() => {
      this.#measured = this.#builder.overBudget().then((text) => {
        if (text !== "" && text !== this.#overBudget) console.error(text);
        this.#overBudget = text;
      }, () => {});
    }, MEASURED_AFTER_MS);
  }

  /** Nothing to do where tables, queries and migration files are those of the last time. */
  async #migrate(built: BuiltApp): Promise<void> {
    const state = migrationState(built.manifest, await readMigrationFiles(this.#app.root));
    if (state === this.#migrated) return;
    this.#migrated = ""; // what fails may have got half way
    const secrets = parseSecrets(this.#secret);
    // Of a server that is ours alone nobody else is a client; elsewhere this may be the old one of a rolling deploy.
    const goBack = this.#options.watch || this.#database.hardening === "database";
    const { root } = this.#app;
    const { steps, notes } = await migrateApp(this.#database, built, secrets, root, goBack);
    for (const step of steps) console.log(`  migrated: ${step}`);
    for (const note of notes) console.log(`  note: ${note}`);
    this.#migrated = state;
  }

  #makeHost(databaseUrl: string): DevHost {
    const readable = this.#options.watch && hasTerminal();
    const options = {
      dist: this.#app.dist,
      state: this.#app.state,
      outputs: this.#options.watch ? () => this.#builder.outputs() : null,
      env: appEnvironment({ KONTRACT_SECRET: this.#secret, DATABASE_URL: databaseUrl }),
      output: (stream: ReadableStream<Uint8Array>, from: "stdout" | "stderr") =>
        void printOutput(readable ? stream.pipeThrough(readableLog()) : stream, Deno[from]),
    };
    return this.#options.host === "deno" ? denoHost(options) : workersHost(options);
  }
}

/** Libraries leave files behind when they are killed; here the next start finds and removes them. */
async function useTemporaryFolder(app: AppFolder, running: AsyncDisposableStack): Promise<void> {
  await Deno.remove(app.temporary, { recursive: true }).catch(() => {});
  await Deno.mkdir(app.temporary, { recursive: true });
  for (const name of ["TMPDIR", "TMP", "TEMP"]) Deno.env.set(name, app.temporary);
  running.defer(() => Deno.remove(app.temporary, { recursive: true }).catch(() => {}));
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) =>
    signal.addEventListener("abort", () => resolve(), { once: true })
  );
}
