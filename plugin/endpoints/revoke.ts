import type { FastifyInstance } from 'fastify'
import { type Grants, isActive } from '../grant/grants.ts'
import { relayedTokenIndex } from '../grant/indexes.ts'
import { accessTokenOf } from '../grant/relayed-tokens.ts'
import { narrowCors } from '../http/cors.ts'
import { formRoute } from '../http/route.ts'
import { revokeSchema } from '../http/schemas.ts'
import type { RegisteredClient } from '../oauth/client.ts'
import { parseTokenParameter, tokenParameters } from '../oauth/token.ts'
import { familyOf, hashCredential, hashFamily, parseHandle, sameHash } from '../secrets/handles.ts'
import { clientOf } from './clients/client.ts'
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
      // Together: what they share is revoked at the provider only when all of them are over.
      await Promise.all(presented.map((one) => endGrantByHandle(services, request, one, 'revoked')))
      return {}
    },
  })
}

/**
 * The client's live grants behind an access or refresh token, by what the token is; the hint is not needed
 * (RFC 7009 §2.1). There is one, but for relayed tokens: a provider may give one token to several logins. Those of
 * the client end with it, and those of other clients are not this client's to end.
 */
async function findPresented(
  grants: Grants,
  token: string,
  { clientId }: RegisteredClient,
  relayed: boolean,
): Promise<PresentedHandle[]> {
  const refresh = parseHandle('refresh', token)
  if (refresh) {
    const stored = await grants.read(refresh.selector)
    if (!isActive(stored) || stored.grant.clientId !== clientId) return []
    const record = stored.grant.refreshToken
    // Any generation of the family: whoever holds one may end the grant, and a stolen one cannot do more.
    if (!record || !sameHash(record.familyHash, hashFamily(refresh))) return []
    return [{ stored, holder: 'refresh', secret: familyOf(refresh), key: record.key }]
  }
  const access = parseHandle('access', token)
  if (!access && !relayed) return []
  const hash = hashCredential(token)
  const grantIds = access ? [access.selector] : await grants.readIndex(relayedTokenIndex(hash))
  const found = await Promise.all(grantIds.map((grantId) => grants.read(grantId)))
  return found.filter(isActive).flatMap((stored) => {
    const record = stored.grant.clientId === clientId && accessTokenOf(stored.grant, hash)
    if (!record) return []
    return [{ stored, holder: 'access', secret: access?.secret ?? Buffer.from(token), key: record.key }]
  })
}
