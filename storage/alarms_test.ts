import assert from "node:assert/strict";
import { Alarms } from "./alarms.ts";

Deno.test("alarms ring once, never early, and not after they were put off or all were cleared", async () => {
  const alarms = new Alarms();
  const rung: string[] = [];
  const began = Date.now();
  const ring = (name: string, done?: () => void) => () => {
    rung.push(name);
    done?.();
  };
  await new Promise<void>((done) => {
    alarms.set(1, ring("soon"));
    alarms.set(1, ring("put off"))();
    alarms.set(120, ring("later", done));
    alarms.set(60_000, ring("far"));
  });
  assert.ok(Date.now() - began >= 120);
  assert.deepEqual(rung, ["soon", "later"]);
  alarms.set(1, ring("cleared"));
  alarms.clear();
  await new Promise<void>((done) => alarms.set(100, done));
  assert.deepEqual(rung, ["soon", "later"]);
  alarms.clear();
});
