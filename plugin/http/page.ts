import { hash } from 'node:crypto'
import type { FastifyReply } from 'fastify'

/**
 * The pages that a browser may see: static, no script, no form, and of the request only what has been
 * proved and escaped (requirements, B-12).
 */
const STYLE = `
:root{color-scheme:light dark}
body{margin:0;padding:2rem 1.5rem;min-height:100vh;box-sizing:border-box;display:grid;place-content:center;grid-template-columns:minmax(0,26rem);font:1rem/1.5 system-ui,sans-serif;color:#1c1e21;background:#f4f5f7;overflow-wrap:anywhere}
h1{margin:0 0 .75rem;font-size:1.5rem;line-height:1.25}
p{margin:0}
a{display:block;margin-top:1.75rem;padding:.875rem 1rem;border-radius:.5rem;color:#fff;background:#1d4ed8;text-align:center;text-decoration:none;font-weight:600}
a+a{margin-top:.75rem}
a:hover{background:#1e40af}
a:focus-visible{outline:3px solid #1e3a8a;outline-offset:2px}
@media(prefers-color-scheme:dark){body{color:#e6e8eb;background:#15171a}a:focus-visible{outline-color:#93c5fd}}
`
const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  `style-src 'sha256-${hash('sha256', STYLE, 'base64')}'`,
  "form-action 'none'",
  "frame-ancestors 'none'",
  "base-uri 'none'",
].join('; ')

/**
 * Says what went wrong, in the words of the error table alone. Its title fits a reload after a good login as
 * well, which is the commonest reason to see it (B-15).
 */
export function sendErrorPage(reply: FastifyReply, status: number, description: string): FastifyReply {
  return sendPage(reply.code(status), 'Return to the app', `<p>${escapeHtml(description)}</p>`)
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

/** Lets a person choose where to sign in (requirements M-04). @param choices the label is text. */
export function sendChoicePage(
  reply: FastifyReply,
  appName: string,
  choices: readonly { readonly label: string; readonly url: string }[],
): FastifyReply {
  const links = choices.map(
    ({ label, url }) => `<a href="${escapeHtml(url)}">Continue with ${escapeHtml(label)}</a>`,
  )
  return sendPage(
    reply.code(200),
    `Sign in to ${escapeHtml(appName)}`,
    `<p>Choose how you sign in.</p><nav>${links.join('')}</nav>`,
  )
}

/** @param title and @param content are HTML. */
function sendPage(reply: FastifyReply, title: string, content: string): FastifyReply {
  return reply
    .header('content-security-policy', CONTENT_SECURITY_POLICY)
    .type('text/html; charset=utf-8')
    .send(
      `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1"><title>${title}</title><style>${STYLE}</style></head><body><main><h1>${title}</h1>${content}</main></body></html>`,
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
