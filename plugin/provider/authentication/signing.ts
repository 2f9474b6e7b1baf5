import type { CryptoKey, JWK } from 'jose'
import { importJWK, importPKCS8 } from 'jose/key/import'
import { readSigningKey } from '../../options/provider/signing-key.ts'

/** A private key, ready to sign. */
export interface ImportedKey {
  readonly key: CryptoKey
  readonly alg: string
  readonly kid: string | undefined
}

/** Importing a key costs more than signing with it. @throws Error that does not quote the key. */
export async function importSigningKey(text: string): Promise<ImportedKey> {
  const { alg, kid, jwk } = readSigningKey(text)
  if (!jwk) return { key: await importPKCS8(text, alg), alg, kid }
  const key = await importJWK({ ...(jwk as JWK), ext: false }, alg)
  if (key instanceof Uint8Array || key.type !== 'private') throw new Error('the JWK is not a private key')
  return { key, alg, kid }
}
