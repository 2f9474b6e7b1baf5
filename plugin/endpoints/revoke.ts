import type { FastifyInstance } from 'fastify'
import { type Grants, isActive } from '../grant/grants.ts'
import { relayedTokenIndex } from '../grant/indexes.ts'
import { narrowCors } from '../http/cors.ts'
import { formRoute } from '../http/route.ts'
import { revokeSchema } from '../http/schemas.ts'
import type { RegisteredClient } from '../oauth/client.ts'
import { parseTokenParameter, tokenParameters } from '../oauth/token.ts'
import { familyOf, hashCredential, hashFamily, parseHandle, sameHash } from '../secrets/handles.ts'
import { clientOf } from './client.ts'
import { endGrantByHandle, type PresentedHandle } from './end-grant-by-handle.ts'
import type { Services } from './services.ts'

/**
 * `POST /oauth2/revoke` (RFC 7009): a live access or refresh token of the client ends its whole grant, here
 * first and at the provider afterwards. Any other token gets the same response: 200 `{}`, which clients that read a
 * body and clients that refuse a 204 both accept.
 */
export function revokeRoute(scope: FastifyInstance, services: Services): void {
  const { options } = services
  formRoute(scope, {
    url: '/revoke',
    schema: revokeSchema,
    parameters: tokenParameters,
    handler: async (request, parameters) => {
      const client = clientOf(services, request, parameters)
      narrowCors(request, client)
      const presented = await findPresented(
        services.grants,
        parseTokenParameter(parameters),
        client,
        options.tokens === 'relay',
      )
      if (presented) await endGrantByHandle(services, request, presented, 'revoked')
      return {}
    },
  })
}

/**
 * The client's live grant behind an access or refresh token, by what the token is; the hint is not needed
 * (RFC 7009 §2.1). A provider may give one token to several grants of a user, and only one of them is this client's.
 */
async function findPresented(
  grants: Grants,
  token: string,
  { clientId }: RegisteredClient,
  relayed: boolean,
): Promise<PresentedHandle | null> {
  const refresh = parseHandle('refresh', token)
  if (refresh) {
    const stored = await grants.read(refresh.selector)
    if (!isActive(stored) || stored.grant.clientId !== clientId) return null
    const record = stored.grant.refreshToken
    // Any generation of the family: whoever holds one may end the grant, and a stolen one cannot do more.
    if (!record || !sameHash(record.familyHash, hashFamily(refresh))) return null
    return { stored, holder: 'refresh', secret: familyOf(refresh), key: record.key }
  }
  const access = parseHandle('access', token)
  if (!access && !relayed) return null
  const hash = hashCredential(token)
  const grantIds = access ? [access.selector] : await grants.readIndex(relayedTokenIndex(hash))
  for (const grantId of grantIds) {
    const stored = await grants.read(grantId)
    if (!isActive(stored) || stored.grant.clientId !== clientId) continue
    const record = stored.grant.accessTokens.find((candidate) => sameHash(candidate.hash, hash))
    if (record)
      return { stored, holder: 'access', secret: access?.secret ?? Buffer.from(token), key: record.key }
  }
  return null
}
