import { hash } from 'node:crypto'
import type { FastifyReply } from 'fastify'

/**
 * The pages that a browser may see: static, no script, no form, and of the request only what has been
 * proved and escaped (requirements A-21 to A-23, B-12).
 */
const STYLE = `
:root{color-scheme:light dark}
body{margin:0;padding:2rem 1.5rem;min-height:100vh;box-sizing:border-box;display:grid;place-content:center;grid-template-columns:minmax(0,26rem);font:1rem/1.5 system-ui,sans-serif;color:#1c1e21;background:#f4f5f7;overflow-wrap:anywhere}
h1{margin:0 0 .75rem;font-size:1.5rem;line-height:1.25}
p{margin:0}
a{display:block;margin-top:1.75rem;padding:.875rem 1rem;border-radius:.5rem;color:#fff;background:#1d4ed8;text-align:center;text-decoration:none;font-weight:600}
a+a{margin-top:.75rem}
button{display:block;width:100%;margin-top:1.75rem;padding:.875rem 1rem;border:0;border-radius:.5rem;color:#fff;background:#1d4ed8;font:inherit;font-weight:600}
button+button{margin-top:.75rem;background:#4b5563}
p+p,p+ul,ul+p{margin-top:.75rem}
a:hover{background:#1e40af}
a:focus-visible,button:focus-visible{outline:3px solid #1e3a8a;outline-offset:2px}
@media(prefers-color-scheme:dark){body{color:#e6e8eb;background:#15171a}a:focus-visible,button:focus-visible{outline-color:#93c5fd}}
`
const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  `style-src 'sha256-${hash('sha256', STYLE, 'base64')}'`,
  "form-action 'none'",
  "frame-ancestors 'none'",
  "base-uri 'none'",
].join('; ')

/**
 * The form goes to us; where the browser is sent then, to the provider and wherever that sends it, Chromium holds to
 * `form-action` as well (CSP 3 §6.4.3), and nobody knows that list.
 */
const CONSENT_POLICY = CONTENT_SECURITY_POLICY.replace("form-action 'none'", 'form-action https: http:')

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

/** What a page of consent tells. All of it is text. */
export interface ConsentFacts {
  /** Where the app describes itself: that is proved. */
  readonly host?: string
  /** What the app calls itself, where there is no host: nobody has proved that. Empty: nothing that may be shown. */
  readonly name?: string
  readonly answerGoesTo: string
  /** False: any other app on the device may take the answer. */
  readonly isProved: boolean
  /** What the app may do, in words. */
  readonly scopes: readonly string[]
}

/**
 * Asks whether an app that nobody registered may have what it asks for (requirements N-06).
 *
 * @param page `fields` come back in the form.
 */
export function sendConsentPage(
  reply: FastifyReply,
  page: ConsentFacts & { readonly action: string; readonly fields: Readonly<Record<string, string>> },
): FastifyReply {
  const { host, name, answerGoesTo, isProved, scopes, action, fields } = page
  const who =
    host !== undefined
      ? `<p>The app at <strong>${escapeHtml(host)}</strong> asks for access in your name.</p>`
      : name
        ? `<p>An app that calls itself <strong><bdi>${escapeHtml(name)}</bdi></strong> asks for access in your name. Nobody has verified that name.</p>`
        : '<p>An app without a name asks for access in your name.</p>'
  const what =
    scopes.length === 0
      ? '<p>It will learn that you have signed in, and nothing else.</p>'
      : `<p>It may then:</p><ul>${scopes.map((scope) => `<li>${escapeHtml(scope)}</li>`).join('')}</ul>`
  const where = `<p>The answer goes to <strong>${escapeHtml(answerGoesTo)}</strong>.${isProved ? '' : ' Any other app there could take its place.'}</p>`
  const hidden = Object.entries(fields).map(
    ([field, value]) => `<input type="hidden" name="${field}" value="${escapeHtml(value)}">`,
  )
  return sendPage(
    reply.code(200),
    'Allow access?',
    `${who}${what}${where}<p>Allow it only if you have just started this yourself, in an app that you trust.</p><form method="post" action="${escapeHtml(action)}">${hidden.join('')}<button name="answer" value="allow">Allow</button><button name="answer" value="deny">Deny</button></form>`,
    CONSENT_POLICY,
  )
}

/** @param title and @param content are HTML. */
function sendPage(
  reply: FastifyReply,
  title: string,
  content: string,
  policy = CONTENT_SECURITY_POLICY,
): FastifyReply {
  return reply
    .header('content-security-policy', policy)
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
