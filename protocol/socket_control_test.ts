import assert from "node:assert/strict";
import { CreditGate, INITIAL_CREDIT } from "./socket_control.ts";

Deno.test("waiting for credit leaves nothing behind at the call's signal, however often", async () => {
  const { signal } = new AbortController();
  const listeners = new Set<unknown>();
  const { addEventListener, removeEventListener } = signal;
  signal.addEventListener = (...args: Parameters<typeof addEventListener>) => {
    listeners.add(args[1]);
    addEventListener.apply(signal, args);
  };
  signal.removeEventListener = (...args: Parameters<typeof removeEventListener>) => {
    listeners.delete(args[1]);
    removeEventListener.apply(signal, args);
  };
  const gate = new CreditGate();
  await gate.spend(INITIAL_CREDIT, signal);
  for (let n = 0; n < 10; n++) {
    const spent = gate.spend(1, signal);
    assert.equal(listeners.size, 1);
    gate.grant(1);
    await spent;
    assert.equal(listeners.size, 0);
  }
});
