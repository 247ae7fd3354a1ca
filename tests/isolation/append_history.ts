/**
 * Checker of list-append histories, after Kingsbury & Alvaro, "Elle: Inferring Isolation Anomalies from
 * Experimental Observations" (2020).
 *
 * Every appended value is unique, so a list tells who wrote each of its versions and in which order:
 *
 * - `ww`: the writer of an element → the writer of the next one;
 * - `wr`: the writer of the last element of a list → whoever read that list;
 * - `rw`: whoever read a list → the writer of the element that comes next;
 * - `rt`: a call that was answered → every call that began afterwards.
 *
 * A cycle means that no serial order (with `rt`: none that agrees with real time) explains the history.
 * What is no cycle but wrong by itself is found first: values of failed calls (G1a), lists that end in
 * the middle of a call (G1b), lists that are no prefix of each other, lost and doubled values.
 *
 * @module
 */

/** One observation inside a call, in the order the body made them. */
export type Operation =
  | { readonly kind: "read"; readonly key: string; readonly values: readonly number[] }
  | { readonly kind: "append"; readonly key: string; readonly value: number };

/** One call with its final answer. */
export interface AppendCall {
  readonly operations: readonly Operation[];
  /** Places in one order of all beginnings and ends. */
  readonly began: number;
  readonly ended: number;
  /** False where the call was refused for good: nothing of it may ever be seen. */
  readonly applied: boolean;
}

type EdgeKind = "ww" | "wr" | "rw" | "rt";
type Graph = ReadonlyMap<number, ReadonlyMap<number, EdgeKind>>;

interface Observed {
  readonly key: string;
  readonly values: readonly number[];
  readonly call: number;
}

/** Everything that is wrong with a history, in words; empty where it is strictly serializable. */
export function appendAnomalies(
  calls: readonly AppendCall[],
  final: ReadonlyMap<string, readonly number[]>,
): readonly string[] {
  const writers = new Map<number, { readonly call: number; readonly key: string; last: boolean }>();
  for (const [call, { operations }] of calls.entries()) {
    const lastOf = new Map<string, number>();
    for (const operation of operations) {
      if (operation.kind !== "append") continue;
      writers.set(operation.value, { call, key: operation.key, last: false });
      lastOf.set(operation.key, operation.value);
    }
    for (const value of lastOf.values()) writers.get(value)!.last = true;
  }
  const wrong: string[] = [];
  const reads = calls.flatMap((call, index) =>
    call.applied ? externalReads(call, index, wrong) : []
  );
  for (const { key, values, call } of reads) {
    const order = final.get(key) ?? [];
    if (values.some((value, i) => order[i] !== value)) {
      wrong.push(`call ${call} read ${key} = [${values}], no prefix of the final [${order}]`);
    }
    const last = values.at(-1);
    if (last !== undefined && writers.get(last)?.last === false) {
      wrong.push(`G1b: call ${call} read ${key} in the middle of call ${writers.get(last)!.call}`);
    }
  }
  wrong.push(...finalFaults(calls, final, writers));
  if (wrong.length > 0) return wrong;
  const cycle = findCycle(dependencies(calls, reads, final, (value) => writers.get(value)!.call));
  return cycle === null ? [] : [`cycle: ${cycle}`];
}

/** Reads of what others wrote: without the call's own values, which it must see. */
function externalReads(call: AppendCall, index: number, wrong: string[]): readonly Observed[] {
  const own = new Map<string, number[]>();
  return call.operations.flatMap((operation) => {
    const mine = own.get(operation.key) ?? [];
    if (operation.kind === "append") {
      own.set(operation.key, [...mine, operation.value]);
      return [];
    }
    const { key, values } = operation;
    const tail = values.slice(values.length - mine.length);
    if (tail.join() !== mine.join()) {
      wrong.push(`call ${index} did not read its own writes: ${key} = [${values}], own [${mine}]`);
    }
    return [{ key, values: values.slice(0, values.length - mine.length), call: index }];
  });
}

function finalFaults(
  calls: readonly AppendCall[],
  final: ReadonlyMap<string, readonly number[]>,
  writers: ReadonlyMap<number, { readonly call: number; readonly key: string }>,
): readonly string[] {
  const wrong: string[] = [];
  const times = new Map<number, number>();
  for (const [key, values] of final) {
    for (const value of values) {
      times.set(value, (times.get(value) ?? 0) + 1);
      const writer = writers.get(value);
      if (writer === undefined || writer.key !== key) wrong.push(`${key} holds ${value} of nobody`);
      else if (!calls[writer.call]!.applied) {
        wrong.push(`G1a: ${key} holds ${value} of call ${writer.call}, which failed`);
      }
    }
  }
  for (const [value, { call, key }] of writers) {
    const seen = times.get(value) ?? 0;
    if (calls[call]!.applied && seen !== 1) {
      wrong.push(`${seen === 0 ? "lost" : "doubled"}: ${value} of call ${call} in ${key}`);
    }
  }
  return wrong;
}

function dependencies(
  calls: readonly AppendCall[],
  reads: readonly Observed[],
  final: ReadonlyMap<string, readonly number[]>,
  writerOf: (value: number) => number,
): Graph {
  const graph = new Map<number, Map<number, EdgeKind>>();
  const add = (from: number, to: number, kind: EdgeKind): void => {
    if (from === to) return;
    const edges = graph.get(from) ?? new Map<number, EdgeKind>();
    graph.set(from, edges);
    if (!edges.has(to)) edges.set(to, kind);
  };
  for (const values of final.values()) {
    for (let i = 1; i < values.length; i++) {
      add(writerOf(values[i - 1]!), writerOf(values[i]!), "ww");
    }
  }
  for (const { key, values, call } of reads) {
    const last = values.at(-1);
    const next = final.get(key)?.[values.length];
    if (last !== undefined) add(writerOf(last), call, "wr");
    if (next !== undefined) add(call, writerOf(next), "rw");
  }
  // Real time through one node per end, so that the edges stay few: negative numbers are moments.
  const ends = calls.map((call, index) => ({ at: call.ended, index }))
    .filter(({ index }) => calls[index]!.applied).sort((a, b) => a.at - b.at);
  for (const [i, { index }] of ends.entries()) {
    add(index, -1 - i, "rt");
    if (i > 0) add(-i, -1 - i, "rt");
  }
  for (const [index, call] of calls.entries()) {
    const before = ends.filter(({ at }) => at < call.began).length;
    if (call.applied && before > 0) add(-before, index, "rt");
  }
  return graph;
}

/** A shortest cycle, in words, or null. */
function findCycle(graph: Graph): string | null {
  const inCycles = nodesInCycles(graph);
  let best: readonly number[] | null = null;
  for (const start of inCycles) {
    if (start < 0) continue;
    const path = shortestWayBack(graph, start, inCycles);
    if (path !== null && (best === null || path.length < best.length)) best = path;
  }
  if (best === null) return null;
  const kinds = best.slice(1).map((node, i) => graph.get(best[i]!)!.get(node)!);
  return best.map((node, i) => `${node < 0 ? "·" : node}${kinds[i] ? ` -${kinds[i]}->` : ""}`)
    .join(" ");
}

/** What is left when everything without a predecessor or successor is taken away, again and again. */
function nodesInCycles(graph: Graph): ReadonlySet<number> {
  const into = new Map<number, number[]>();
  const nodes = new Set<number>(graph.keys());
  for (const [from, edges] of graph) {
    for (const to of edges.keys()) {
      nodes.add(to);
      into.set(to, [...(into.get(to) ?? []), from]);
    }
  }
  const out = (node: number): Iterable<number> => graph.get(node)?.keys() ?? [];
  for (const [next, back] of [[out, into], [(n: number) => into.get(n) ?? [], graph]] as const) {
    const degree = new Map<number, number>();
    for (const node of nodes) {
      const before = back.get(node);
      const all = before === undefined ? [] : Array.isArray(before) ? before : [...before.keys()];
      degree.set(node, all.filter((other) => nodes.has(other)).length);
    }
    const free = [...nodes].filter((node) => degree.get(node) === 0);
    for (let node = free.pop(); node !== undefined; node = free.pop()) {
      nodes.delete(node);
      for (const other of next(node)) {
        if (!nodes.has(other)) continue;
        degree.set(other, degree.get(other)! - 1);
        if (degree.get(other) === 0) free.push(other);
      }
    }
  }
  return nodes;
}

function shortestWayBack(
  graph: Graph,
  start: number,
  within: ReadonlySet<number>,
): readonly number[] | null {
  const from = new Map<number, number>();
  const queue = [start];
  for (const node of queue) {
    for (const next of graph.get(node)?.keys() ?? []) {
      if (next === start) {
        const path = [start];
        for (
          let at: number | undefined = node;
          at !== start && at !== undefined;
          at = from.get(at)
        ) {
          path.unshift(at);
        }
        return [start, ...path];
      }
      if (!within.has(next) || from.has(next)) continue;
      from.set(next, node);
      queue.push(next);
    }
  }
  return null;
}
