/**
 * The database that an app has already: the environment's, that of a running `start` or `dev`, or its
 * embedded one. For commands that look at or change what is there, and make nothing new.
 *
 * @module
 */
import { KontractError } from "../../_internal/errors.ts";
import type { AppFolder } from "./app_folder.ts";
import { type AppDatabase, openDatabase } from "./database.ts";
import { readDevInfo } from "./dev_file.ts";

/** Where it is, and the end of what was started for it. */
export type PresentDatabase = Pick<AppDatabase, "url" | "adminUrl" | "stop">;

/** Finds it. @throws {KontractError} `CONFIG` where the app was never started */
export async function presentDatabase(app: AppFolder): Promise<PresentDatabase> {
  const given = ["DATABASE_URL", "DATABASE_ADMIN_URL"].some((name) => Deno.env.get(name));
  const exists = given || await readDevInfo(app.devFile) !== null ||
    await Deno.stat(app.data).then(() => true, () => false);
  if (exists) return await openDatabase(app);
  throw new KontractError(
    "CONFIG",
    "This app has no database yet: start it once, or set DATABASE_URL.",
  );
}
