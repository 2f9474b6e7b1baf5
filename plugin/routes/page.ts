import { hash } from 'node:crypto'
import type { FastifyReply } from 'fastify'

/**
 * The two pages that a browser may see: static, no script, no form, and of the request only what has been
 * proved and escaped (requirements, B-12).
 */
const STYLE =
  'body{font:1.1rem/1.5 system-ui,sans-serif;max-width:26rem;margin:20vh auto;padding:0 1.5rem;color:#222;background:#fff}a{display:block;margin-top:1.5rem;padding:.8rem;border-radius:.5rem;background:#1d4ed8;color:#fff;text-align:center;text-decoration:none}@media(prefers-color-scheme:dark){body{color:#eee;background:#111}}'
const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  `style-src 'sha256-${hash('sha256', STYLE, 'base64')}'`,
  "form-action 'none'",
  "frame-ancestors 'none'",
  "base-uri 'none'",
].join('; ')

/** Says what went wrong, in the words of the answer table alone. */
export function sendErrorPage(reply: FastifyReply, status: number, description: string): FastifyReply {
  return sendPage(reply.code(status), 'Sign-in could not continue', `<p>${escapeHtml(description)}</p>`)
}

/**
 * Lets a human open the app: its link is the user gesture that a private-use or loopback redirect needs, since
 * any app on the device can register such an address (RFC 8252 §8.6).
 */
export function sendContinuePage(reply: FastifyReply, appName: string, redirectTo: string): FastifyReply {
  const name = escapeHtml(appName)
  return sendPage(
    reply.code(200),
    `Continue to ${name}`,
    `<p>Continue only if you have just started to sign in to ${name}.</p><a href="${escapeHtml(redirectTo)}">Continue to ${name}</a>`,
  )
}

/** @param title and @param content are HTML. */
function sendPage(reply: FastifyReply, title: string, content: string): FastifyReply {
  return reply
    .header('content-security-policy', CONTENT_SECURITY_POLICY)
    .type('text/html; charset=utf-8')
    .send(
      `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${title}</title><style>${STYLE}</style></head><body><h1>${title}</h1>${content}</body></html>`,
    )
}

const ENTITIES: Record<string, string> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ENTITIES[character]!)
}
