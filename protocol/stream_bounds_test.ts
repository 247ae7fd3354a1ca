import assert from "node:assert/strict";
import { ELEMENT_COST, InputBudget } from "./input_budget.ts";
import { EMPTY, utf8 } from "./bytes.ts";
import { DEFAULT_LIMITS } from "./limits.ts";
import { CallInputs, MAX_INPUTS } from "./socket_input.ts";
import { createSocketTransport } from "./socket_transport.ts";
import { serveGateway } from "./testing/gateway.ts";

const WRITE = { token: null, mutation: true } as const;

async function* source(count: number, size: number): AsyncGenerator<Uint8Array> {
  for (let index = 0; index < count; index++) yield await Promise.resolve(new Uint8Array(size));
}

/** All that is due without a timer has happened. */
const settled = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 0));

/** A call's streamed arguments whose credit is counted, by argument. */
function makeCall(
  budget: InputBudget,
): { inputs: CallInputs; credit: number[]; cancelled: number[] } {
  const credit = Array<number>(MAX_INPUTS).fill(0);
  const cancelled: number[] = [];
  const inputs = new CallInputs(budget, {
    credit: (argument, bytes) => void (credit[argument]! += bytes),
    cancel: (argument) => void cancelled.push(argument),
  });
  return { inputs, credit, cancelled };
}

for (
  const { room, limits, calls, width } of [
    { room: "default limits", limits: {}, calls: 40, width: MAX_INPUTS },
    { room: "little room", limits: { message: 1024, reassembly: 1024 }, calls: 4, width: 2 },
  ]
) {
  Deno.test(`calls that read their arguments in step all come to their end: ${room}`, async () => {
    await using gateway = await serveGateway(async (call) => {
      const all = Array.from({ length: width }, (_, argument) => {
        return call.input(argument)[Symbol.asyncIterator]();
      });
      let sum = 0;
      while (true) {
        let ended = 0;
        for (const each of all) {
          const { done, value } = await each.next();
          if (done === true) ended++;
          else sum += value.length;
        }
        if (ended > 0) return { kind: "value", payload: utf8(`${sum} ${ended}`) };
      }
    }, { limits });
    const { url, pins } = gateway;
    const transport = createSocketTransport({ url, pins, app: "test-app" });
    const answers = await Promise.all(Array.from({ length: calls }, () => {
      const inputs = Array.from({ length: width }, () => source(3, 1000));
      return transport.call(1000, EMPTY, { ...WRITE, inputs });
    }));
    for (const answer of answers) assert.deepEqual(answer, utf8(`${width * 3000} ${width}`));
    transport.close();
  });
}

Deno.test("whatever a client does with its credit, unread elements hold no more than the limit says", async () => {
  const { message, reassembly } = DEFAULT_LIMITS;
  const budget = new InputBudget(DEFAULT_LIMITS);
  const refused: string[] = [];
  let most = 0;
  for (let count = 0; count < 100; count++) {
    const { inputs, credit, cancelled } = makeCall(budget);
    const iterator = inputs.open(0).read();
    const first = iterator.next();
    await settled();
    if (credit[0] === 0) break;
    const input = inputs.get(0)!;
    input.push(new Uint8Array(1)); // taken; the function is busy from now on
    await first;
    let left = credit[0]! - 1 - ELEMENT_COST;
    for (; left > 8000 + ELEMENT_COST; left -= 8000 + ELEMENT_COST) {
      input.push(new Uint8Array(8000));
    }
    input.push(new Uint8Array(message));
    most = Math.max(most, budget.held);
    assert.ok(budget.held <= reassembly + message + ELEMENT_COST, `${budget.held} bytes are held`);
    if (cancelled.length === 0) continue;
    input.push(new Uint8Array(message)); // was under way: dropped
    input.end();
    refused.push(await iterator.next().then(() => "element", (error) => error.code));
  }
  assert.ok(most > reassembly / 2, `${most}`);
  assert.ok(refused.length > 0);
  assert.deepEqual(new Set(refused), new Set(["OVERLOADED"]));
});

Deno.test("elements no larger than a window are never refused, however slow all functions are", async () => {
  const budget = new InputBudget(DEFAULT_LIMITS);
  for (let count = 0; count < 100; count++) {
    const { inputs, credit, cancelled } = makeCall(budget);
    for (let argument = 0; argument < MAX_INPUTS; argument++) {
      const first = inputs.open(argument).read().next();
      await settled();
      const window = credit[argument]!;
      if (window === 0) {
        first.catch(() => {});
        break;
      }
      const input = inputs.get(argument)!;
      input.push(EMPTY);
      await first;
      if (window <= 1 + 2 * ELEMENT_COST) continue;
      input.push(new Uint8Array(window - 1 - 2 * ELEMENT_COST));
      input.push(new Uint8Array(window));
    }
    assert.deepEqual(cancelled, []);
  }
});

Deno.test("a call that is over holds nothing, and cut arguments never look whole", async () => {
  const budget = new InputBudget(DEFAULT_LIMITS);
  const { inputs, credit } = makeCall(budget);
  const iterator = inputs.open(0).read();
  const first = iterator.next();
  await settled();
  const free = budget.free;
  const input = inputs.get(0)!;
  for (let count = 0; count < 3; count++) input.push(new Uint8Array(1000));
  input.end();
  await first;
  assert.equal(budget.held, 2 * (1000 + ELEMENT_COST));
  inputs.abort();
  assert.equal(budget.held, 0);
  assert.ok(budget.free > free && credit[0]! > 0);
  await assert.rejects(iterator.next(), { code: "CANCELLED" });
});

Deno.test("a call that is cancelled while it waits for room ends at once and takes nobody's place", async () => {
  const budget = new InputBudget({ ...DEFAULT_LIMITS, message: 1024, reassembly: 1024 });
  const [holder, waiting, next] = [makeCall(budget), makeCall(budget), makeCall(budget)];
  void holder.inputs.open(0).read().next().catch(() => {});
  await settled();
  const cancelled = waiting.inputs.open(0).read().next();
  void next.inputs.open(0).read().next().catch(() => {});
  await settled();
  assert.deepEqual([waiting.credit[0], next.credit[0]], [0, 0]);
  waiting.inputs.abort();
  await assert.rejects(cancelled, { code: "CANCELLED" });
  holder.inputs.abort();
  await settled();
  assert.ok(next.credit[0]! > 0);
  next.inputs.abort();
});
