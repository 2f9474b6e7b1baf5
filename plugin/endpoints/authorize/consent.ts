import { isDeepStrictEqual } from 'node:util'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import Type from 'typebox'
import { localeLanguage, settleLanguage } from '../../http/pages/language.ts'
import { type AnswerTarget, sendPage } from '../../http/pages/pages.ts'
import { pageRoute, rawForm } from '../../http/route.ts'
import {
  formatPushedRequest,
  requireClient,
  type VerifiedAuthorizationRequest,
  validatePushedRequest,
} from '../../oauth/authorization.ts'
import { isUnregistered, type UnregisteredClient } from '../../oauth/client.ts'
import { OAuthError } from '../../oauth/errors.ts'
import { parseForm } from '../../oauth/form.ts'
import { redirectUriKind } from '../../oauth/redirect-uri.ts'
import type { Provider } from '../../provider/provider.ts'
import { issueFirstHandle, parseHandle } from '../../secrets/handles.ts'
import type { Services } from '../services.ts'
import { sendRefusal } from './authorization-response.ts'
import { bindAgain, bindBrowser, boundSecret, unbindBrowser } from './browser-binding.ts'
import { providersOf } from './provider-choice.ts'
import { beginTransaction, bindingOf } from './transaction.ts'

/** What the page gives back, sealed for the holder of the browser's cookie: nobody else's answer opens it. */
interface Asked {
  /** The request, as `formatPushedRequest` has it. */
  readonly form: string
  /** What the person was shown, should the request have named none. */
  readonly scope: readonly string[]
  /** The state of the login that may come of it. */
  readonly state: string
  /** By the store's clock. */
  readonly until: number
}

/** The form of the page. `transaction` names its cookie. */
const FIELDS = ['transaction', 'client_id', 'request', 'answer'] as const

const consentSchema = {
  tags: ['oauth2'],
  operationId: 'consent',
  summary: 'The answer of a person whom an app that nobody registered has asked',
  consumes: ['application/x-www-form-urlencoded'],
  body: Type.Object(Object.fromEntries(FIELDS.map((name) => [name, Type.String()]))),
}

/**
 * Asks a person whether an app that nobody registered may have what it asks for, at every login, and before the provider
 * hears of it: the provider knows one client only, whose consent it may remember (requirements N-06; CVE-2026-27124).
 *
 * Nothing is kept of the question: all of it is in the page, under a seal that opens with the browser's cookie alone. So
 * a page that nobody sees, prefetched or in a frame, changes nothing, and no other site can answer it.
 */
export function askForConsent(
  services: Services,
  provider: Provider,
  verified: VerifiedAuthorizationRequest & { readonly client: UnregisteredClient },
  { reply, form }: { readonly reply: FastifyReply; readonly form: string },
): FastifyReply {
  const { grants, look, options, seals } = services
  const { client } = verified
  const state = issueFirstHandle('state')
  const id = state.selector
  const binding = bindingOf(services, provider)
  const { secret, setCookies } = bindBrowser(binding, id, reply.request.headers.cookie)
  const asked: Asked = {
    form: formatPushedRequest(form, client),
    scope: verified.scope,
    state: state.value,
    until: grants.now() + binding.transactionSeconds * 1000,
  }
  const owner = { id, clientId: client.clientId }
  const sealed = seals.sealFor(owner, 'consent', Buffer.from(secret), asked)
  return sendPage(reply.code(200).header('set-cookie', setCookies), look, {
    page: 'consent',
    app: client,
    answerGoesTo: answerTarget(verified.redirectUri),
    scopes: verified.scope.map((name) => options.scopeDescriptions.get(name) ?? name),
    action: `${options.routePrefix}/consent`,
    fields: { transaction: id, client_id: client.clientId, request: sealed },
  })
}

/** `POST /oauth2/consent`: what the person has answered. The request is checked once more, as if it came now. */
export function consentRoute(scope: FastifyInstance, services: Services): void {
  pageRoute(
    scope,
    {
      url: '/consent',
      schema: consentSchema,
      handler: async (request, reply) => {
        const { clientId, id, asked, secret, isAllowed } = readAnswer(services, request)
        try {
          const client = requireClient(await services.clients.find(clientId))
          const verified = validatePushedRequest(asked.form, client, services.options)
          settleLanguage(request, localeLanguage(verified.uiLocales))
          // A reload of the configuration must not add to what somebody has read.
          const isSame = isDeepStrictEqual(verified.scope, asked.scope)
          const [provider, ...others] = providersOf(services, verified)
          const state = parseHandle('state', asked.state)
          if (!isSame || !provider || others.length > 0 || !state) throw new OAuthError('consent_elsewhere')
          const binding = bindingOf(services, provider)
          if (!isAllowed) {
            reply.header('set-cookie', unbindBrowser(binding, id))
            throw new OAuthError('consent_denied', { redirectTo: verified })
          }
          const prepared = { state, binding: bindAgain(binding, id, secret) }
          return await beginTransaction(services, provider, verified, { reply, prepared })
        } catch (error) {
          return sendRefusal(services, error, reply, isAllowed ? undefined : 'none')
        }
      },
    },
    'POST',
  )
}

/** @throws OAuthError `consent_elsewhere` for what is not the answer of the browser that was asked, in time. */
function readAnswer({ grants, options, seals }: Services, request: FastifyRequest) {
  const elsewhere = new OAuthError('consent_elsewhere')
  const {
    transaction: id,
    client_id: clientId,
    request: sealed,
    answer,
  } = parseForm(rawForm(request), FIELDS)
  const site = request.headers['sec-fetch-site']
  if (site !== undefined && site !== 'same-origin') throw elsewhere
  if (id === undefined || clientId === undefined || sealed === undefined) throw elsewhere
  if (answer !== 'allow' && answer !== 'deny') throw elsewhere
  const secret = boundSecret(options, id, request.headers.cookie)
  const asked = secret && seals.openFor<Asked>({ id, clientId }, 'consent', Buffer.from(secret), sealed)
  if (!secret || !asked || asked.until <= grants.now()) throw elsewhere
  return { clientId, id, asked, secret, isAllowed: answer === 'allow' }
}

function answerTarget(redirectUri: string): AnswerTarget {
  const { host, protocol, hostname } = new URL(redirectUri)
  const kind = redirectUriKind(redirectUri)
  if (kind === 'https') return { kind, name: host }
  return kind === 'loopback' ? { kind, name: hostname } : { kind: 'private-use', name: protocol }
}

/** True for a request that a person has to allow. */
export function needsConsent(
  verified: VerifiedAuthorizationRequest,
): verified is VerifiedAuthorizationRequest & { readonly client: UnregisteredClient } {
  return isUnregistered(verified.client)
}
