import type { FastifyPluginCallback } from 'fastify'
import { loadInstalled } from '../../plan/project.ts'
import { CONNECTIONS } from '../peer.ts'

/** @fastify/http-proxy with as many upstream connections as everybody else has; otherwise its defaults. */
export function httpProxyOptions(upstream: number) {
  return {
    upstream: `http://127.0.0.1:${upstream}`,
    prefix: '/api',
    rewritePrefix: '/api',
    undici: { connections: CONNECTIONS, pipelining: 1 },
  }
}

export async function loadHttpProxy(): Promise<FastifyPluginCallback<Record<string, unknown>>> {
  return (
    await loadInstalled<{ default: FastifyPluginCallback<Record<string, unknown>> }>('@fastify/http-proxy')
  ).default
}
