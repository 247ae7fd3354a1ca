/**
 * Every combination of key agreement and AEAD that exists here. For tests only.
 *
 * @module
 */
import { nobleDh } from "../crypto/noble_dh.ts";
import { nobleSymmetric } from "../crypto/noble_symmetric.ts";
import { findNodeCrypto, nodeSymmetric } from "../crypto/node_symmetric.ts";
import type { CryptoProvider, Symmetric } from "../crypto/provider.ts";
import { bySize } from "../crypto/native_symmetric.ts";
import { webDh } from "../crypto/web_dh.ts";

/** Web and noble key agreement, each with node, noble and mixed AEAD. */
export function allProviders(): readonly CryptoProvider[] {
  const node = findNodeCrypto();
  if (node === null) throw new Error("node:crypto is missing here: the tests need it");
  const native = nodeSymmetric(node);
  const symmetric: readonly Symmetric[] = [native, nobleSymmetric, bySize(nobleSymmetric, native)];
  return [webDh, nobleDh].flatMap((dh) => symmetric.map((part) => ({ ...dh, ...part })));
}

/** A provider's name in a test's title. */
export function nameOf(provider: CryptoProvider): string {
  return `${provider.dhName}/${provider.symmetricName}`;
}
