/** How processes take turns where two of them would write the same files. */
import assert from "node:assert/strict";
import { until } from "../../tests/until.ts";
import { type Standby, StandbyHost } from "./standby_host.ts";

for (const alone of [true, false]) {
  Deno.test(
    alone
      ? "where one process at a time may run, a build is served once the one before is gone"
      : "where two may run, a build does not wait for the end of the one before",
    async () => {
      const ending = Promise.withResolvers<void>();
      const events: string[] = [];
      let count = 0;
      const start = (): Promise<Standby> => {
        const name = `${count++}`;
        return Promise.resolve({
          origin: name,
          expect: () => Promise.resolve(),
          fits: () => Promise.resolve(true),
          load: () => Promise.resolve(void events.push(`load ${name}`)),
          stop: () => {
            events.push(`stop ${name}`);
            return name === "0" ? ending.promise : Promise.resolve();
          },
        });
      };
      const host = new StandbyHost({ start, alone });
      assert.equal(await host.load(), "0");
      const next = host.load().then((origin) => events.push(`serve ${origin}`));
      await new Promise((resolve) => setTimeout(resolve, 20));
      events.push("end 0");
      ending.resolve();
      await next;
      assert.deepEqual(
        events,
        alone
          ? ["load 0", "stop 0", "load 1", "end 0", "serve 1"]
          : ["load 0", "load 1", "stop 0", "serve 1", "end 0"],
      );
      await host.stop();
    },
  );
}

Deno.test("the process that waits gets ready at once, and when a build may come, and no other does", async () => {
  const events: string[] = [];
  let count = 0;
  const host = new StandbyHost({
    alone: false,
    start(): Promise<Standby> {
      const name = `${count++}`;
      return Promise.resolve({
        origin: name,
        expect: () => Promise.resolve(void events.push(`expect ${name}`)),
        fits: () => Promise.resolve(true),
        load: () => Promise.resolve(void events.push(`load ${name}`)),
        stop: () => Promise.resolve(),
      });
    },
  });
  await host.expect();
  await host.load();
  await host.expect();
  await until(() => events.includes("expect 1"));
  await host.expect();
  await host.load();
  assert.deepEqual(events, ["load 0", "expect 1", "expect 1", "load 1"]);
  await host.stop();
});
