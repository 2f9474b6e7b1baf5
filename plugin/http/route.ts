import type {
  FastifyInstance,
  FastifyReply,
  FastifyRequest,
  FastifySchema,
  preParsingHookHandler,
  RouteHandlerMethod,
  RouteOptions,
} from 'fastify'
import type { TSchema } from 'typebox'
import { Compile } from 'typebox/compile'
import { OAuthError, type Reason } from '../oauth/errors.ts'
import { assertFormMediaType, type FormParameters, parseForm } from '../oauth/form.ts'
import { rawQuery } from './query.ts'

const OWN_ROUTE: unique symbol = Symbol('fastify-pkce.own-route')

/** True for a route of the plugin itself. An app cannot make one of its own look so. */
export function isOwnRoute({ routeOptions }: FastifyRequest): boolean {
  return routeOptions.config?.[OWN_ROUTE] === true
}

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The form of this route's error responses; JSON unless it says `page`. */
    pkceErrors?: 'page'
    /** A route of the plugin, which decides by itself whom it asks for what. */
    [OWN_ROUTE]?: true
  }
}

interface Endpoint {
  readonly url: string
  readonly schema: FastifySchema & { readonly operationId: string }
  readonly handler: RouteHandlerMethod
  /** For other plugins of the app. */
  readonly config?: object
}

/** A route that a browser visits, by GET or with a form: its errors are pages. */
export function pageRoute(scope: FastifyInstance, endpoint: Endpoint, method: 'GET' | 'POST' = 'GET'): void {
  route(scope, [method], endpoint, {
    config: { pkceErrors: 'page' },
    onRequest: (request, _reply, done) => done(thrownBy(refusePrefetch, request)),
    ...(method === 'POST' && { preParsing: formOnly }),
  })
}

/** A body of which no parameter has been looked at. */
interface UnparsedForm {
  readonly text: string
}

/** The scope's parser of forms, which serves all routes, hands the body on: each route knows what it reads of it. */
export function unparsedForm(text: string): Record<string, unknown> & UnparsedForm {
  return { text }
}

/** The form of a request as received, empty where there was none. */
export function rawForm(request: FastifyRequest): string {
  return (request.body as UnparsedForm | undefined)?.text ?? ''
}

interface FormEndpoint<Name extends string> extends Omit<Endpoint, 'handler'> {
  /** `body`: what the parameters must be, once they are parsed. */
  readonly schema: Endpoint['schema'] & { readonly body: TSchema }
  /** All that the handler reads; everything else in the form is ignored (C-05). */
  readonly parameters: readonly Name[]
  readonly handler: (
    request: FastifyRequest,
    parameters: FormParameters<Name>,
    reply: FastifyReply,
  ) => Promise<unknown>
}

/** A route that takes a form: POST, and what cannot be a form is refused before it is read (C-01 to C-03). */
export function formRoute<Name extends string>(scope: FastifyInstance, endpoint: FormEndpoint<Name>): void {
  const { parameters, handler, ...more } = endpoint
  const validator = Compile(endpoint.schema.body)
  const parseAndHandle = (request: FastifyRequest, reply: FastifyReply) => {
    const form = parseForm(rawForm(request), parameters)
    if (!validator.Check(form)) throw new OAuthError('parameter_invalid')
    return handler(request, form, reply)
  }
  route(scope, ['POST'], { ...more, handler: parseAndHandle }, { preParsing: formOnly })
}

interface JsonBodyEndpoint extends Omit<Endpoint, 'handler'> {
  /** Of a body that is no JSON object. */
  readonly malformed: Reason
  readonly handler: (
    request: FastifyRequest,
    members: Readonly<Record<string, unknown>>,
    reply: FastifyReply,
  ) => Promise<unknown>
}

/**
 * A route that takes a JSON object by POST; of a member that is there twice the last counts. Its scope must take JSON:
 * `takeJson`.
 */
export function jsonBodyRoute(scope: FastifyInstance, endpoint: JsonBodyEndpoint): void {
  const { malformed, handler, ...more } = endpoint
  const parseAndHandle = (request: FastifyRequest, reply: FastifyReply) =>
    handler(request, readObject(request.body, malformed), reply)
  const jsonOnly: preParsingHookHandler = (request, _reply, _payload, done) =>
    done(thrownBy(({ headers }) => refuseNonJson(headers, malformed), request) ?? null)
  route(scope, ['POST'], { ...more, handler: parseAndHandle }, { preParsing: jsonOnly })
}

function readObject(body: unknown, malformed: Reason): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(String(body))
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
      return value as Record<string, unknown>
    }
  } catch {
    // The text is the client's: no cause.
  }
  throw new OAuthError(malformed)
}

function refuseNonJson(headers: FastifyRequest['headers'], malformed: Reason): void {
  if (headers['content-encoding'] !== undefined) throw new OAuthError('content_encoding')
  if (!JSON_TYPE.test(headers['content-type'] ?? '')) throw new OAuthError(malformed)
}

const JSON_TYPE = /^application\/json[ \t]*(?:;|$)/i

/** A route whose responses to the given methods are JSON. */
export function jsonRoute(scope: FastifyInstance, methods: string[], endpoint: Endpoint): void {
  route(scope, methods, endpoint, {})
}

/**
 * Registers the methods of an endpoint, and refuses all others with 405 and `Allow`: HEAD too, which would otherwise
 * run the GET handler and use up a state (platform fact P-5).
 */
function route(
  scope: FastifyInstance,
  methods: string[],
  endpoint: Endpoint,
  more: Partial<RouteOptions>,
): void {
  for (const [index, method] of methods.entries()) {
    scope.route({
      ...more,
      ...endpoint,
      config: { ...more.config, ...endpoint.config, [OWN_ROUTE]: true },
      schema: schemaFor(endpoint, method, index),
      method,
      exposeHeadRoute: false,
    })
  }
  scope.route({
    method: scope.supportedMethods.filter((method) => !methods.includes(method)),
    url: endpoint.url,
    schema: { hide: true } as FastifySchema,
    config: { ...more.config, [OWN_ROUTE]: true },
    // Before the limiter and any body: nothing about such a request can matter.
    onRequest: (_request, _reply, done) =>
      done(new OAuthError('method_not_allowed', { headers: { allow: methods.join(', ') } })),
    handler: () => undefined,
  })
}

/** Of several methods each needs a name of its own in an OpenAPI document: `userinfo`, `userinfoPost`. */
function schemaFor({ schema }: Endpoint, method: string, index: number): FastifySchema {
  if (index === 0) return schema
  const operationId = schema.operationId + method.charAt(0) + method.slice(1).toLowerCase()
  return { ...schema, operationId } as FastifySchema
}

/** The outcome of a check, as the callback of a hook takes it. */
function thrownBy(check: (request: FastifyRequest) => void, request: FastifyRequest): OAuthError | undefined {
  try {
    check(request)
    return undefined
  } catch (error) {
    return error as OAuthError
  }
}

/** A browser that guesses the next page must neither start a login nor use one up. */
function refusePrefetch({ headers }: FastifyRequest): void {
  const { 'sec-purpose': secPurpose, purpose } = headers
  if (secPurpose === undefined && purpose === undefined) return
  if (/prefetch/i.test(`${secPurpose} ${purpose}`)) throw new OAuthError('prefetch_refused')
}

const formOnly: preParsingHookHandler = (request, _reply, _payload, done) =>
  done(thrownBy(refuseNonForm, request) ?? null)

function refuseNonForm(request: FastifyRequest): void {
  if (rawQuery(request) !== '') throw new OAuthError('parameters_in_url')
  if (request.headers['content-encoding'] !== undefined) throw new OAuthError('content_encoding')
  assertFormMediaType(request.headers['content-type'])
}
