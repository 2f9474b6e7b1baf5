import type { FastifyReply } from 'fastify'
import { isUnregistered, type RegisteredClient } from '../../oauth/client.ts'
import { isDistinct, type OAuthError } from '../../oauth/errors.ts'
import { type Failure, failureOf, isAlarming } from './failures.ts'
import { type Language, languageOf } from './language.ts'
import type { Look } from './look.ts'
import { isolated, shown, toAttribute, toHtml, toPlainHtml } from './text.ts'
import { WORDS } from './words/index.ts'
import type { Words } from './words/words.ts'

/**
 * The pages that a browser may see: static, no script, and of the request only what has been proved and escaped
 * (requirements A-21 to A-23, B-12). The endpoints say which page, and its facts; the words and the looks are here.
 */
export type Page = ContinuePage | ChoicePage | ConsentPage | FailurePage

/**
 * Lets a human open the app: its link is the user gesture that a private-use or loopback redirect needs, since
 * any app on the device can register such an address (RFC 8252 §8.6).
 */
interface ContinuePage {
  readonly page: 'continue'
  readonly app: RegisteredClient
  /** What people call it. */
  readonly provider: string
  readonly redirectTo: string
}

/** Lets a person choose where to sign in (requirements M-04). */
interface ChoicePage {
  readonly page: 'choice'
  readonly app: RegisteredClient
  readonly choices: readonly { readonly provider: string; readonly url: string }[]
}

/** Where an answer goes. `https` is a host that nobody else answers for; whatever else may be another app's. */
export interface AnswerTarget {
  readonly kind: 'https' | 'loopback' | 'private-use'
  /** A host, or a scheme with its colon. */
  readonly name: string
}

/** Asks whether an app that nobody registered may have what it asks for (requirements N-06). */
interface ConsentPage {
  readonly page: 'consent'
  readonly app: RegisteredClient
  readonly answerGoesTo: AnswerTarget
  /** What the app may do, in the operator's words. */
  readonly scopes: readonly string[]
  readonly action: string
  /** Come back in the form. */
  readonly fields: Readonly<Record<string, string>>
}

/** Says what went wrong; and if the app is to hear of it, there is a link. */
interface FailurePage {
  readonly page: 'failure'
  readonly failure: Failure
  /** For those who make the app, where it is the app's fault. */
  readonly error?: Pick<OAuthError, 'reason' | 'message'>
  readonly provider?: string
  readonly app?: RegisteredClient
  readonly redirectTo?: string
}

/** The page of an error of ours. */
export function failurePage(error: OAuthError): FailurePage {
  const failure = failureOf(error)
  return { page: 'failure', failure, ...(failure === 'app' && { error }) }
}

/** Sends a page in the language of the request. Its status is set before. */
export function sendPage(reply: FastifyReply, look: Look, page: Page): FastifyReply {
  const { request } = reply
  return reply
    .header('content-security-policy', page.page === 'consent' ? look.formPolicy : look.policy)
    .type('text/html; charset=utf-8')
    .send(renderPage(look, page, { language: languageOf(request), requestId: request.id }))
}

/** Of a page: its title and its content, the one as a sentence, the other as HTML. */
interface Content {
  readonly title: string
  readonly html: string
  readonly isAlarming?: boolean
}

/** The whole page. @param requestId shown where something went wrong, if it is one of the usual kind. */
export function renderPage(
  look: Look,
  page: Page,
  { language, requestId }: { readonly language: Language; readonly requestId: string },
): string {
  const words = WORDS[language]
  const { host, brand, style } = look
  const { title, html, isAlarming } = contentOf(words, look, page)
  const name = brand.name ?? host
  const head = brand.logo
    ? `<img src="${toAttribute(brand.logo)}" alt="${toPlainHtml(name)}">`
    : toHtml(isolated(name))
  const footer = [
    name === host && !brand.logo ? '' : `<span>${toHtml(host)}</span>`,
    brand.supportUrl ? `<a href="${toAttribute(brand.supportUrl)}">${toHtml(words.support)}</a>` : '',
    page.page === 'failure' && REQUEST_ID.test(requestId)
      ? `<span>${toHtml(words.requestId)}: <code>${requestId}</code></span>`
      : '',
  ].join('')
  return (
    `<!doctype html><html lang="${words.lang}"><head><meta charset="utf-8">` +
    '<meta name="viewport" content="width=device-width,initial-scale=1"><meta name="robots" content="noindex">' +
    `<title>${toPlainHtml(title)}</title><style>${style}</style></head>` +
    `<body><div class="card"><header>${head}</header>` +
    `<main><h1>${isAlarming ? ALARM : ''}${toHtml(title)}</h1>${html}</main>` +
    `${footer && `<footer>${footer}</footer>`}</div></body></html>`
  )
}

/** An app may take its ids from a header of the request. */
const REQUEST_ID = /^[\w.:-]{1,64}$/
const ALARM =
  '<svg viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="1.75" stroke-linecap="round" aria-hidden="true"><circle cx="12" cy="12" r="9.5"/><path d="M12 7v6m0 3.5v.01"/></svg>'

function contentOf(words: Words, look: Look, page: Page): Content {
  switch (page.page) {
    case 'continue':
      return continueContent(words, look, page)
    case 'choice':
      return choiceContent(words, look, page)
    case 'consent':
      return consentContent(words, look, page)
    case 'failure':
      return failureContent(words, look, page)
  }
}

function continueContent(words: Words, { host }: Look, page: ContinuePage): Content {
  const { continuing } = words
  const app = nameOf(words, page.app)
  return {
    title: continuing.title(app),
    html:
      paragraph(continuing.question(app, isolated(page.provider), isolated(host))) +
      buttons(link(page.redirectTo, continuing.button(app))),
  }
}

function choiceContent(words: Words, { host }: Look, page: ChoicePage): Content {
  const { choice } = words
  const links = page.choices.map(({ provider, url }) => link(url, choice.button(shown(provider))))
  return {
    title: choice.title(nameOf(words, page.app)),
    html: `${paragraph(choice.question(isolated(host)))}<nav class="buttons equal">${links.join('')}</nav>`,
  }
}

function consentContent({ consent }: Words, look: Look, page: ConsentPage): Content {
  const { answerGoesTo, scopes, action, fields } = page
  const items = scopes.map((scope) => `<li>${toHtml(isolated(scope))}</li>`)
  const hidden = Object.entries(fields).map(
    ([field, value]) => `<input type="hidden" name="${field}" value="${toAttribute(value)}">`,
  )
  const [allow, deny] = [toHtml(consent.allow), toHtml(consent.deny)]
  return {
    title: consent.title,
    html:
      paragraph(whoAsks(consent, page.app, isolated(look.host))) +
      (items.length === 0
        ? paragraph(consent.noPermissions, 'soft')
        : `${paragraph(consent.permissions, 'soft')}<ul>${items.join('')}</ul>`) +
      paragraph(whereTo(consent, answerGoesTo), 'soft') +
      paragraph(consent.question) +
      `<form class="buttons" method="post" action="${toAttribute(action)}">${hidden.join('')}` +
      `<button name="answer" value="allow">${allow}</button>` +
      `<button name="answer" value="deny">${deny}</button></form>`,
  }
}

function whoAsks(words: Words['consent'], app: RegisteredClient, host: string): string {
  if (!isUnregistered(app) || app.unregistered === 'document') {
    return words.fromHost(isolated(isUnregistered(app) ? app.label : app.name), host)
  }
  return shown(app.label).trim() === '' ? words.fromNameless(host) : words.fromName(isolated(app.label), host)
}

function whereTo(words: Words['consent'], { kind, name }: AnswerTarget): string {
  const target = isolated(name)
  if (kind === 'https') return words.answerToHost(target)
  return kind === 'loopback' ? words.answerToThisComputer(target) : words.answerToThisDevice(target)
}

function failureContent(words: Words, { host }: Look, page: FailurePage): Content {
  const { failure, error, app, redirectTo } = page
  const { title, text } = words.failures[failure]
  const isProviders = failure === 'provider' && page.provider !== undefined
  const service = isolated(isProviders ? page.provider : host)
  const back = redirectTo !== undefined && app !== undefined
  return {
    title,
    isAlarming: isAlarming(failure),
    html:
      paragraph(text(service)) +
      (back ? buttons(link(redirectTo, words.backTo(nameOf(words, app)))) : '') +
      (error ? developersHint(words, error) : ''),
  }
}

/** In English, as documentation and logs are. An address as text: the page leads nowhere. */
function developersHint(words: Words, { reason, message }: NonNullable<FailurePage['error']>): string {
  return (
    `<details><summary>${toHtml(words.developers)}</summary><div lang="en"><p>${toHtml(message)}</p>` +
    `${isDistinct(reason) ? `<p><code>${reason}</code> (docs/errors.md)</p>` : ''}</div></details>`
  )
}

/** An app that nobody registered has whatever name it likes; its host is proved. */
function nameOf(words: Words, app: RegisteredClient): string {
  if (!isUnregistered(app)) return isolated(app.name)
  if (app.unregistered === 'document') return isolated(app.label)
  return shown(app.label).trim() === '' ? words.nameless : words.unverified(isolated(app.label))
}

function paragraph(sentence: string, kind?: 'soft'): string {
  return `<p${kind ? ` class="${kind}"` : ''}>${toHtml(sentence)}</p>`
}

function buttons(html: string): string {
  return `<div class="buttons">${html}</div>`
}

function link(url: string, words: string): string {
  return `<a href="${toAttribute(url)}">${toHtml(words)}</a>`
}
