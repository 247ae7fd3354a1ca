/**
 * Unpacks PostgreSQL's programs, and starts and stops a server where a data folder is given, in a process of its
 * own: its environment is nobody else's. Prints what came of it as JSON.
 *
 * @module
 */
import { KontractError } from "../../_internal/errors.ts";
import { startEmbeddedPostgres } from "../embedded_postgres.ts";
import { postgresHome } from "../postgres_binaries.ts";

const [dataDir] = Deno.args;
try {
  const home = await postgresHome();
  if (dataDir !== undefined) await (await startEmbeddedPostgres({ dataDir })).stop();
  console.log(JSON.stringify({ home }));
} catch (error) {
  if (!(error instanceof KontractError)) throw error;
  console.log(JSON.stringify({ code: error.code, message: error.message }));
}
