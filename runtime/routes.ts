/**
 * The route table: finds a route by name or number and loads its chunk on first use.
 *
 * Loaded chunks are kept as values, never as pending promises: on Workers a promise of one request must
 * not be awaited by another. The host's module cache makes two first calls cheap.
 *
 * @module
 */
import { KontractError } from "../_internal/errors.ts";
import type { AppDefinition, RouteCode, RouteEntry, RouteModule } from "./app.ts";

/** All routes of an app. */
export class RouteTable {
  readonly #app: AppDefinition;
  readonly #byName = new Map<string, RouteEntry>();
  readonly #byOp = new Map<number, RouteEntry>();
  readonly #loaded = new Map<number, RouteModule>();

  /** @throws {KontractError} `CONFIG` where two routes share a name or a number */
  constructor(app: AppDefinition) {
    this.#app = app;
    for (const route of app.routes) {
      if (this.#byName.has(route.name) || this.#byOp.has(route.op)) {
        throw new KontractError("CONFIG", `The route '${route.name}' is defined twice.`);
      }
      this.#byName.set(route.name, route);
      this.#byOp.set(route.op, route);
    }
  }

  /** @throws {KontractError} `ROUTE_NOT_FOUND` */
  named(name: string): RouteEntry {
    const route = this.#byName.get(name);
    if (route === undefined) throw new KontractError("ROUTE_NOT_FOUND");
    return route;
  }

  /** Only a generated client has numbers. @throws {KontractError} `ROUTE_NOT_FOUND` */
  numbered(op: number): RouteEntry {
    const route = this.#byOp.get(op);
    if (route !== undefined) return route;
    const message = "There is no such function: reload the page if it is of another build.";
    throw new KontractError("ROUTE_NOT_FOUND", message);
  }

  /** Name of a number's route, or null. */
  nameOf(op: number): string | null {
    return this.#byOp.get(op)?.name ?? null;
  }

  /** Code of a route, its chunk loaded where it was not. */
  async code(route: RouteEntry): Promise<RouteCode> {
    const module = this.#loaded.get(route.module) ?? await this.#load(route.module);
    const code = Object.hasOwn(module.routes, route.name) ? module.routes[route.name] : undefined;
    if (code === undefined) {
      throw new KontractError("INTERNAL", undefined, {
        cause: new Error(`chunk ${route.module} of this build lacks the route '${route.name}'`),
      });
    }
    return code;
  }

  async #load(index: number): Promise<RouteModule> {
    const load = this.#app.modules[index];
    if (load === undefined) {
      throw new KontractError("INTERNAL", undefined, {
        cause: new Error(`this build has no chunk ${index}`),
      });
    }
    const module = await load();
    this.#loaded.set(index, module);
    return module;
  }
}
