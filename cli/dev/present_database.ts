/**
 * The database that an app has already: the environment's, that of a running `start` or `dev`, or its
 * embedded one. For commands that look at or change what is there, and make nothing new.
 *
 * @module
 */
import { KontractError } from "../../_internal/errors.ts";
import type { AppFolder } from "./app_folder.ts";
import { type AppDatabase, environmentDatabase, openDatabase } from "./database.ts";
import { readDevInfo } from "./dev_file.ts";

/** Where it is, and the end of what was started for it. */
export type PresentDatabase = Pick<AppDatabase, "url" | "adminUrl" | "stop">;

/** Finds it. @throws {KontractError} `CONFIG` where the app was never started */
export async function presentDatabase(app: AppFolder): Promise<PresentDatabase> {
  const given = environmentDatabase();
  if (given !== null) return given;
  const running = await readDevInfo(app.devFile);
  if (running !== null) {
    const { databaseUrl: url, databaseAdminUrl: adminUrl } = running;
    return { url, adminUrl, stop: () => Promise.resolve() };
  }
  const adminGiven = (Deno.env.get("DATABASE_ADMIN_URL") ?? "") !== "";
  const exists = adminGiven || await Deno.stat(app.data).then(() => true, () => false);
  if (exists) return await openDatabase(app);
  throw new KontractError(
    "CONFIG",
    "This app has no database yet: start it once, or set DATABASE_URL.",
  );
}
