// @ts-check
import { maskedFields } from './mask.js'

/** @typedef {import('./record.js').Recorder} Recorder */

const worker = new Worker('/requests.js', { type: 'module' })

/**
 * @typedef {object} Answer
 * @property {number} status 0: a redirect that was not followed
 * @property {number} since what had been seen before it was asked: its reason is seen after that
 * @property {Record<string, any>} body what was JSON in it
 */

/** Response header fields that tell why. */
const TELLING = ['www-authenticate', 'retry-after', 'location']

/**
 * A real `fetch` to the gateway, with its request and its answer on the diagram.
 *
 * @param {Recorder} record
 * @param {{ method?: string, path: string, form?: Record<string, string>, headers?: Record<string, string>,
 *   checked?: string, gives?: string }} request
 *   `checked`: what the gateway looks at before it answers so; drawn only where it has let the request through,
 *   and before what it did then. `gives`: what a 200 brings, in words.
 * @returns {Promise<Answer>}
 */
export async function send(record, { path, form, headers = {}, checked, gives = '', ...rest }) {
  const method = rest.method ?? (form ? 'POST' : 'GET')
  const [shown = path, query = ''] = path.split('?', 2)
  const at = Date.now()
  const since = record.position.seq
  record.add({
    ...{ at, kind: 'request', from: 'app', to: 'gateway', title: `${method} ${shown}` },
    fields: maskedFields([
      ...new URLSearchParams(query),
      ...Object.entries(headers),
      ...Object.entries(form ?? {}),
    ]),
  })
  const {
    status,
    headers: answered,
    text,
  } = await ask(path, {
    ...{ method, headers, cache: 'no-store', redirect: 'manual' },
    ...(form && { body: new URLSearchParams(form).toString() }),
    ...(form && { headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers } }),
  })
  const body = answered['content-type']?.includes('json') ? JSON.parse(text) : {}
  if (status === 200 && checked !== undefined) record.add({ at, ...passed(checked) })
  const told = TELLING.map((name) => /** @type {const} */ ([name, answered[name] ?? '']))
  record.add({
    ...{ kind: 'response', from: 'gateway', to: 'app', title: status === 200 ? gives : wordOf(body), status },
    fields: { ...maskedFields(told), ...answerFields(body) },
  })
  return { status, since, body }
}

/** RFC 6749 §5.2, or RFC 9457. @param {Record<string, any>} body @returns {string} */
function wordOf({ error, code }) {
  return error ?? code ?? ''
}

/** @param {Record<string, any>} body */
function answerFields({ type, title, status, requestId, code, ...body }) {
  const isProblem = type !== undefined
  const members = Object.entries(body).filter(([, value]) => typeof value !== 'object')
  return { ...(isProblem && { reason: String(code) }), ...maskedFields(members) }
}

/**
 * @param {string} path @param {RequestInit} init
 * @returns {Promise<{ status: number, headers: Record<string, string>, text: string }>}
 */
function ask(path, init) {
  const { port1, port2 } = new MessageChannel()
  return new Promise((resolve, reject) => {
    port1.onmessage = ({ data }) => {
      port1.close()
      if (data.error === undefined) resolve(data)
      else reject(new Error(data.error))
    }
    worker.postMessage({ path, init }, [port2])
  })
}

/** @param {string} checked @returns {Omit<import('./record.js').Step, 'at'>} */
export function passed(checked) {
  return {
    kind: 'note',
    from: 'gateway',
    to: 'gateway',
    title: 'checked',
    fields: { checked },
    tone: 'passed',
  }
}
