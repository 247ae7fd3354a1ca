/**
 * How statements go to the server without the driver, for hosts that have Node's sockets. A module of its own, since
 * Workers never load it.
 *
 * @module
 */
import { connect } from "node:net";
import type { Direct } from "./postgres_connection.ts";
import { StatementLine } from "./statement_line.ts";

/** Sockets of Node, as the driver would open them itself. */
export const direct: Direct = {
  openSocket({ host, port, path }, attempt) {
    if (path !== false) return connect({ path });
    const which = attempt % port.length;
    const address = { host: host[which]!, port: port[which]! };
    // The driver reads them where it says what failed.
    return Object.assign(connect({ ...address, noDelay: true }), address);
  },
  takeOver: (socket) => new StatementLine(socket),
};
