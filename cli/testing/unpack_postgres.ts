/**
 * Prints where PostgreSQL's programs are, as a process of its own: several may be the first.
 *
 * @module
 */
import { postgresHome } from "../postgres_binaries.ts";

console.log(await postgresHome());
