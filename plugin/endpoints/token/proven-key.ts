import type { FastifyReply } from 'fastify'
import { hasProof } from '../../oauth/access/dpop-proof.ts'
import type { RegisteredClient } from '../../oauth/client.ts'
import type { Services } from '../services.ts'

/**
 * The key that the app proves to hold with this request, by its thumbprint. Undefined where it proves none and need not,
 * and for a client that has nothing to do with DPoP, whatever it sends. The response says which nonce the next proof needs.
 *
 * @param required true: of this client a proof is demanded here. By default that is `clients[].dpop: required`.
 * @throws OAuthError `dpop_…`. Source: RFC 9449 §5, §8; requirements O-01.
 */
export function provenKey(
  { proofs }: Services,
  { dpop }: RegisteredClient,
  reply: FastifyReply,
  required = dpop === 'required',
): string | undefined {
  if (dpop === 'off') return undefined
  if (!required && !hasProof(reply.request.raw.rawHeaders)) return undefined
  reply.header('dpop-nonce', proofs.nonce)
  return proofs.prove(reply.request)
}
