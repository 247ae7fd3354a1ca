/**
 * The vectors and round trips, as the page in Chromium and the Worker in workerd run them. For tests only.
 *
 * @module
 */
import { createHttpTransport, openSocketTransport, type TransportOptions } from "../client.ts";
import { loadProvider } from "../crypto/select.ts";
import { roundTrips } from "./round_trips.ts";
import { platformCrypto, runVectors, type VectorFiles, type VectorReport } from "./vector_suite.ts";

/** What a platform reports. */
export interface PlatformReport extends VectorReport {
  /** The provider it would use. */
  readonly provider: string;
}

/** All vectors. */
export async function vectors(files: VectorFiles): Promise<PlatformReport> {
  const { dhName, symmetricName } = await loadProvider();
  return {
    ...await runVectors(files, await platformCrypto()),
    provider: `${dhName}/${symmetricName}`,
  };
}

/** All round trips to a gateway outside. */
export async function trips(
  kind: "http" | "socket",
  options: TransportOptions,
): Promise<readonly string[]> {
  const transport = kind === "http"
    ? createHttpTransport(options)
    : await openSocketTransport(options);
  try {
    return await roundTrips(transport);
  } finally {
    transport.close();
  }
}
