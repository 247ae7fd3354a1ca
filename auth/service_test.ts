/**
 * The auth suite over the model store.
 *
 * @module
 */
import { authServiceSuite } from "./testing/service_suite.ts";
import { MemoryAuthStore } from "./testing/memory_store.ts";

authServiceSuite("memory", () => {
  const store = new MemoryAuthStore();
  return Promise.resolve({
    store,
    tenant: "default",
    isRevoked: (family) => Promise.resolve(store.revoked.has(`default/${family}`)),
    close: () => Promise.resolve(),
  });
});
