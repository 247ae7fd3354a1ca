/**
 * What runs the built app behind the front: workerd or plain Deno. Two implementations, one contract:
 * `load` replaces what ran before and returns the origin to send requests to; nothing keeps running after
 * `stop`.
 *
 * @module
 */

import type { OutputFiles } from "../../compiler/mod.ts";

/** Names of the hosts, as in `--host`. */
export const HOST_NAMES = ["workers", "deno"] as const;

/** One of {@link HOST_NAMES}. */
export type HostName = typeof HOST_NAMES[number];

/** What is in `dist`, by path below it, as the newest build has made it. */
export type NewestOutputs = () => OutputFiles;

/** What every host needs. */
export interface HostOptions {
  /** Folder of the build (`dist`). */
  readonly dist: string;
  /** Folder for what must outlive the process (Durable Objects, SQLite files). */
  readonly state: string;
  /** Everything the app may read as an environment variable or binding. */
  readonly env: Readonly<Record<string, string>>;
  /** Null where no more builds will follow the first. */
  readonly outputs: NewestOutputs | null;
  /** Takes what the app prints; must read it to its end. */
  readonly output: (stream: ReadableStream<Uint8Array>, from: "stdout" | "stderr") => void;
}

/** A host. */
export interface DevHost {
  /** Runs the build that is in `dist` now; resolves with its origin when it accepts connections. */
  load(): Promise<string>;
  /**
   * Path of a Unix socket of what {@link DevHost.load} has loaded: it takes requests as a proxy does, by their whole
   * URL. A process sees at once that such a connection is closed.
   */
  readonly socket?: string | undefined;
  /** Says that a build may come soon. Never rejects. */
  expect(): Promise<void>;
  /** Does the work of one minute, on a host that has no clock of its own. Rejects where nothing runs. */
  scheduled?(): Promise<void>;
  /** Ends it and everything it started. */
  stop(): Promise<void>;
}
