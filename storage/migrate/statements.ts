/**
 * What both a connection and a transaction can do.
 *
 * @module
 */
import type postgres from "postgres";

/** A place to run statements. */
export type Statements = postgres.ISql<Record<never, never>>;
