/**
 * Debian's pgbouncer in transaction mode, in front of a test server. Roles and passwords are asked for in
 * the server, so databases and roles made later work too.
 *
 * @module
 */
import { join } from "node:path";

/** A pgbouncer under way. */
export interface PgBouncer extends AsyncDisposable {
  /** `host:port`. */
  readonly address: string;
}

/** Where Debian and others install it. */
const PLACES = ["/usr/sbin/pgbouncer", "/usr/bin/pgbouncer", "/usr/local/bin/pgbouncer"];
const NOBODY = 65534;
const START_MS = 15_000;

/** Path of the program, or null where it is not installed. */
export async function findPgBouncer(): Promise<string | null> {
  for (const place of PLACES) {
    if (await Deno.stat(place).then((info) => info.isFile, () => false)) return place;
  }
  return null;
}

/** Starts one for the server that `adminUrl` leads to. */
export async function startPgBouncer(
  program: string,
  adminUrl: string,
  mode: "transaction" | "session" = "transaction",
): Promise<PgBouncer> {
  const server = new URL(adminUrl);
  const port = freePort();
  const folder = await Deno.makeTempDir({ prefix: "kontract_pgbouncer_" });
  const user = decodeURIComponent(server.username);
  const config = `[databases]
* = host=${server.hostname} port=${server.port || 5432} auth_user=${user}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = ${join(folder, "users")}
auth_query = select rolname, rolpassword from pg_authid where rolname = $1
pool_mode = ${mode}
default_pool_size = 4
max_client_conn = 500
max_db_connections = 20
server_idle_timeout = 2
autodb_idle_timeout = 5
log_connections = 0
log_disconnections = 0
log_stats = 0
`;
  await Deno.writeTextFile(join(folder, "config"), config);
  await Deno.writeTextFile(
    join(folder, "users"),
    `"${user}" "${decodeURIComponent(server.password)}"\n`,
  );
  const asNobody = Deno.uid() === 0 ? { uid: NOBODY, gid: NOBODY } : {};
  await Deno.chmod(folder, 0o755);
  const child = new Deno.Command(program, {
    args: ["-q", join(folder, "config")],
    // Not ours, which "nobody" may not be allowed to enter.
    cwd: folder,
    ...asNobody,
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).spawn();
  const stop = async (): Promise<void> => {
    try {
      child.kill("SIGTERM");
    } catch (error) {
      if (!(error instanceof TypeError)) throw error; // it has ended
    }
    await child.status;
    await Deno.remove(folder, { recursive: true });
  };
  try {
    await listens(port);
  } catch (error) {
    await stop();
    throw error;
  }
  return { address: `127.0.0.1:${port}`, [Symbol.asyncDispose]: stop };
}

function freePort(): number {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  try {
    return listener.addr.port;
  } finally {
    listener.close();
  }
}

async function listens(port: number): Promise<void> {
  for (const until = Date.now() + START_MS;;) {
    try {
      (await Deno.connect({ hostname: "127.0.0.1", port })).close();
      return;
    } catch (error) {
      if (Date.now() > until) throw error;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}
