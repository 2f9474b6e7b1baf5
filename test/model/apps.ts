/** What the apps hold of their logins, and how they ask. */
import type { LightMyRequestResponse } from 'fastify'
import { parseHandle } from '../../plugin/secrets/handles.ts'
import { type Authorized, newPair, type PluginApp, type Tokens } from '../support/plugin-app.ts'
import { tokens } from './model.ts'
import type { Request } from './requests.ts'

const RESOURCE_SERVER = Buffer.from('orders:orders-secret').toString('base64')
/** Any secret but the right one, behind a selector that is. */
const WRONG_SECRET = 'A'.repeat(42)

/** A login as those outside see it. */
export interface Login {
  readonly clientId: string
  readonly subject: string
  readonly authorized: Authorized
  readonly providerCode: string
  /** In the app's hands. */
  code?: string
  /** By generation; of the last ones, the answer may have been lost. */
  readonly tokens: Tokens[]
  /** How many generations of them the app has got. */
  held: number
}

/** A request, and whether its answer arrives. */
export interface Sending {
  readonly request: Request
  readonly lost?: boolean
}

/** @returns the answer as the model says it. */
export async function send(
  app: PluginApp,
  login: Login,
  { request, lost = false }: Sending,
): Promise<string> {
  const { clientId, authorized } = login
  switch (request.kind) {
    case 'callback': {
      const error = request.as === 'denied' ? { error: 'access_denied' } : { code: login.providerCode }
      const answer = await app.callback(
        authorized,
        error,
        request.as === 'other browser' ? '' : authorized.cookie,
      )
      return returned(login, answer, lost)
    }
    case 'redeem': {
      const { proof } = request
      const code = proof === 'wrong secret' ? login.code!.slice(0, 26) + WRONG_SECRET : login.code!
      return named(
        login,
        await app.redeem(code, {
          client_id: proof === 'other client' ? 'other' : clientId,
          ...(proof === 'wrong verifier' && { code_verifier: newPair().verifier }),
          ...(proof === 'wrong uri' && { redirect_uri: 'https://app.example.com/other' }),
        }),
        lost,
      )
    }
    case 'refresh': {
      const { proof, generation } = request
      const token = login.tokens[generation]!.refresh_token
      const presented = proof === 'wrong secret' ? token.slice(0, 26) + WRONG_SECRET : token
      const form = { client_id: proof === 'other client' ? 'other' : clientId }
      return named(login, await app.refresh(presented, form), lost)
    }
    case 'call': {
      const token = login.tokens[request.generation]!.access_token
      if (request.at === 'route') return String((await app.call(token)).statusCode)
      if (request.at === 'userinfo') {
        const headers = { authorization: `Bearer ${token}` }
        return String((await app.app.inject({ url: '/oauth2/userinfo', headers })).statusCode)
      }
      const answer = await app.post('introspect', { token }, { authorization: `Basic ${RESOURCE_SERVER}` })
      return answer.json().active ? '200' : '401'
    }
    case 'revoke': {
      const { token, generation, proof } = request
      const form = {
        token: login.tokens[generation]![`${token}_token`],
        client_id: proof === 'other client' ? 'other' : clientId,
      }
      return String((await app.post('revoke', form)).statusCode)
    }
    case 'logout': {
      const grantId = parseHandle('state', authorized.state)!.selector
      await app.app.pkce.endSession(request.by === 'grant' ? { grantId } : { subject: login.subject })
      return 'done'
    }
  }
}

function returned(login: Login, answer: LightMyRequestResponse, lost: boolean): string {
  if (answer.statusCode !== 302) return String(answer.statusCode)
  const { searchParams } = new URL(String(answer.headers.location))
  const code = searchParams.get('code')
  if (code !== null && !lost) login.code = code
  return `302 ${code === null ? searchParams.get('error') : 'code'}`
}

/** Names tokens by their generation: known ones, or the next. */
function named(login: Login, answer: LightMyRequestResponse, lost: boolean): string {
  if (answer.statusCode !== 200) return `${answer.statusCode} ${answer.json().error}`
  const given = answer.json() as Tokens
  let generation = login.tokens.findIndex(({ access_token }) => access_token === given.access_token)
  if (generation < 0) generation = login.tokens.push(given) - 1
  if (login.tokens[generation]!.refresh_token !== given.refresh_token) return '200 with a mixture of tokens'
  if (!lost) login.held = Math.max(login.held, generation + 1)
  return tokens(generation)
}
