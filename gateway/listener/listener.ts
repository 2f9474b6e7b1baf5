import { createServer, IncomingMessage, type Server, ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { Socket } from 'node:net'
import Fastify, {
  type FastifyBaseLogger,
  type FastifyError,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  type FastifyServerOptions,
} from 'fastify'
import { readCertificate } from '../config/certificate.ts'
import type { GatewayConfig } from '../config/schemas/config.ts'
import { RESPONSE_HEADER_BYTES_MAX } from '../config/schemas/upstream.ts'
import type { Refusal } from '../http/refusals.ts'
import { MAX_HEADER_BYTES } from '../http/request-fields.ts'
import { newRequestId, requestIdOf } from '../http/request-id.ts'
import { ALL_FEATURES, type NodeFeatures } from './assumptions.ts'
import { claimConnection, Http1Connections, responseOn } from './http1-connection.ts'
import { HeaderOnlyRequest, upgradable } from './http1-request.ts'
import { CoalescedResponse } from './http1-response.ts'
import { Http2Response } from './http2/response.ts'
import { createHttp2Server, Http2Sessions } from './http2/server.ts'
import { type Answerable, answerRefusal, writeRefusal } from './problem-details.ts'

/** Of a request to an endpoint. */
const BODY_LIMIT_BYTES = 16 * 1024
const MAX_CHECK_INTERVAL_MS = 5000

/** What the listener needs of the configuration. */
export type ListenerConfig = Pick<GatewayConfig, 'listen' | 'trustProxy'>

/** Fastify's own options of that name: what is logged, and where. */
export type ListenerLogging = Required<Pick<FastifyServerOptions, 'logger' | 'logController'>>

/** What the listener needs besides the configuration. */
export interface ListenerOptions extends ListenerLogging {
  /** What of Node's inside holds (`tryNode`). Default: all. */
  readonly features?: NodeFeatures
  /** Nobody adds routes to it: of those that it has, none needs a compiler of schemas, and none is loaded. */
  readonly isComplete?: boolean
}

/** Fastify's own load Ajv and all that belongs to it. The plugin's endpoints read and write what they know themselves. */
export const NO_COMPILERS: Pick<FastifyServerOptions, 'schemaController'> = {
  schemaController: { compilersFactory: { buildValidator: noCompiler, buildSerializer: noCompiler } },
}

function noCompiler(): never {
  throw new Error('a route of the gateway has a schema, and nothing that compiles it')
}

/**
 * The public Fastify instance with its limits, and one form for every error: the parser's too.
 *
 * The router keeps Fastify's strict defaults (H-01): no setting that could weaken it is taken from outside.
 * Source: requirements H-20, H-22, H-27, H-34, J-08, K-01.
 */
export function publicListener(config: ListenerConfig, options: ListenerOptions): FastifyInstance {
  const { features = ALL_FEATURES } = options
  const { headersMs, requestMs, keepAliveMs } = config.listen.timeouts
  const { tls, http2, maxConnections } = config.listen
  const server = {
    maxHeaderSize: MAX_HEADER_BYTES,
    headersTimeout: headersMs,
    // Node looks at the two timeouts only this often (P-18).
    connectionsCheckingInterval: Math.min(headersMs, MAX_CHECK_INTERVAL_MS),
    requestTimeout: requestMs,
    keepAliveTimeout: keepAliveMs,
    // A missing Host is ours to refuse, in the same form as everything else.
    requireHostHeader: false,
    ServerResponse: features.has('coalesced responses') ? CoalescedResponse : ServerResponse,
    IncomingMessage: requestClass(features),
  }
  const offersHttp2 =
    http2 !== false && features.has('http2 messages') && features.has('http1 settings of the http2 server')
  const app = instance(config, options, () => {
    if (!tls) return createServer(server)
    const secure = { ...server, ...readCertificate(tls), handshakeTimeout: headersMs }
    return offersHttp2 ? createHttp2Server(secure, http2, RESPONSE_HEADER_BYTES_MAX) : createTlsServer(secure)
  })
  // Node's own answer is bare: without `no-store`, and in no form of ours.
  app.server.on('checkExpectation', (request, response) => {
    claimConnection(response)
    answerRefusal(outsideOfFastify(request, response), 'expectation_unknown')
  })
  app.server.on('connect', (request, client: Socket | Http2Response) => {
    const refusal = 'method_not_allowed'
    if (client instanceof Http2Response)
      answerRefusal(outsideOfFastify(request, client as unknown as ServerResponse), refusal)
    // Pipelined behind a request that is being answered: its answer would be taken for that one's.
    else if (responseOn(client)) client.destroy()
    else writeRefusal(client, refusal, app.log, request)
  })
  capConnections(app.server, maxConnections, app.log)
  // Read now: after a reset Node can only return an address that was read before.
  app.server.on(tls ? 'secureConnection' : 'connection', ({ remoteAddress }: Socket) => void remoteAddress)
  const connections = new Http1Connections()
  connections.watch(app.server, tls !== undefined)
  app.addHook('preClose', async () => connections.drain())
  if (offersHttp2) {
    const sessions = new Http2Sessions(config.listen.timeouts)
    sessions.watch(app.server)
    app.addHook('preClose', async () => sessions.drain())
  }
  return app

  /** What never comes so far. */
  function outsideOfFastify(raw: IncomingMessage, response: ServerResponse): Answerable {
    return { raw, response, id: newRequestId(), ip: raw.socket.remoteAddress, log: app.log }
  }
}

/** A Fastify instance that stands behind a public one: with the same strictness, and a server that never listens. */
export function behindListener(config: ListenerConfig, logging: ListenerLogging): FastifyInstance {
  return instance(config, { ...logging, isComplete: true }, () => createServer())
}

function instance(
  { listen, trustProxy }: ListenerConfig,
  { logger, logController, isComplete }: ListenerOptions,
  makeServer: () => Server,
): FastifyInstance {
  const app = Fastify({
    ...(isComplete && NO_COMPILERS),
    // Without Fastify's handler: requests enter by the intake, and none does before there is one.
    serverFactory: makeServer,
    ...(listen.tls && { https: {} }),
    logger,
    logController,
    genReqId: requestIdOf,
    trustProxy: trustProxy.length > 0 ? [...trustProxy] : false,
    // The endpoints read their query as it came.
    routerOptions: { querystringParser: () => ({}) },
    exposeHeadRoutes: false,
    bodyLimit: BODY_LIMIT_BYTES,
    // A client that connected before the end still gets its response: a token exchange cannot be repeated.
    return503OnClosing: false,
    frameworkErrors: (error, request, reply) => {
      const refusal = frameworkRefusal(error)
      if (refusal === 'internal') request.log.error({ err: error }, 'request failed')
      answerRefusal(answerable(request, reply), refusal)
    },
    clientErrorHandler: (error, socket) => {
      if (error.code === 'ECONNRESET' || socket.destroyed) return
      // No TLS connection has come about, on which something could be said.
      if (/^ERR_(?:SSL|TLS)_/.test(error.code ?? '')) {
        socket.destroy()
        return
      }
      const response = responseOn(socket)
      if (response?.req.complete) lastAnswer(response, socket)
      // In the rest of a request that is being answered: a second answer would be taken for the next one's.
      else if (response?.headersSent) socket.destroySoon()
      else writeRefusal(socket, parserRefusal(error.code), app.log)
    },
  })
  app.setErrorHandler((error: FastifyError, request, reply) => {
    reply.hijack()
    const refusal = errorRefusal(error)
    if (refusal === 'internal') request.log.error({ err: error }, 'request failed')
    answerRefusal(answerable(request, reply), refusal)
  })
  app.setNotFoundHandler((request, reply) => {
    reply.hijack()
    answerRefusal(answerable(request, reply), 'route_unknown')
  })
  return app

  /** What Fastify wraps. */
  function answerable({ raw, id, ip }: FastifyRequest, reply: FastifyReply): Answerable {
    return { raw, response: reply.raw, id, ip, log: app.log }
  }
}

/** Node's own class of requests, or what holds of ours. */
function requestClass(features: NodeFeatures): typeof IncomingMessage {
  const Request = features.has('header-only requests') ? HeaderOnlyRequest : IncomingMessage
  return features.has('chosen upgrades') ? upgradable(Request) : Request
}

/** Bytes after a whole request are no HTTP. That request is answered; then the connection closes. */
function lastAnswer(response: ServerResponse, socket: Socket): void {
  if (!response.shouldKeepAlive) return
  response.shouldKeepAlive = false
  response.once('finish', () => socket.destroySoon())
}

function frameworkRefusal({ code }: FastifyError): Refusal {
  if (code === 'FST_ERR_BAD_URL') return 'path_not_canonical'
  return code === 'FST_ERR_MAX_PARAM_LENGTH' ? 'target_too_long' : 'internal'
}

function parserRefusal(code: string | undefined): Refusal {
  switch (code) {
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return 'request_timeout'
    case 'HPE_HEADER_OVERFLOW':
      return 'head_too_large'
    case 'HPE_INVALID_METHOD':
      return 'method_unknown'
    default:
      return 'request_malformed'
  }
}

function errorRefusal({ statusCode = 500 }: FastifyError): Refusal {
  if (statusCode === 413) return 'body_too_large'
  return statusCode >= 400 && statusCode < 500 ? 'request_malformed' : 'internal'
}

const LOG_INTERVAL_MS = 1000

/**
 * Closes at once what connects while `max` connections are open, and says how often at most every second: under
 * attack a line for each would be an attack of its own (requirements H-22).
 */
function capConnections(server: Server, max: number, log: Pick<FastifyBaseLogger, 'warn'>): void {
  server.maxConnections = max
  // A worker of node:cluster would hand them on, from one full worker to the next. (Node 20 knows no better.)
  Object.assign(server, { dropMaxConnection: true })
  let dropped = 0
  const report = () => {
    log.warn({ dropped, maxConnections: max }, 'connections dropped: too many are open')
    dropped = 0
  }
  server.on('drop', () => {
    if (++dropped === 1) setTimeout(report, LOG_INTERVAL_MS).unref()
  })
}

/** What the largest body that an endpoint takes may take, after ten seconds of patience. 0: for ever. */
export function bodyMs(minBytesPerSecond: number): number {
  return minBytesPerSecond === 0 ? 0 : 10_000 + Math.ceil((BODY_LIMIT_BYTES / minBytesPerSecond) * 1000)
}
