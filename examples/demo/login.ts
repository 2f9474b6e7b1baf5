/** Cookies as a browser keeps them, by origin and name. Expiry and paths do not matter here. */
export type CookieJar = Map<string, Map<string, string>>

/** Who signs in, in which browser. */
export interface LoginOptions {
  username: string
  password: string
  /** Default: a new one, as in a private window. */
  cookieJar?: CookieJar
  /** Stop when the next URL begins so. Default: the `redirect_uri` of the authorization URL. */
  until?: string
}

/** Far more than any login takes; a loop must end. */
const MAX_PAGES = 20

/**
 * A browser without a window: opens `authorizationUrl`, follows redirects, fills in and submits the forms of the
 * provider, and stops at the app's redirect URI, which it does not open. It finds it in a `Location` header or
 * behind the only link of a page.
 *
 * @returns the redirect URI with its parameters, as the app would receive it.
 * @throws Error when a page is an error, or offers neither a form nor a single link.
 */
export async function login(
  authorizationUrl: string,
  { username, password, cookieJar = new Map(), until }: LoginOptions,
): Promise<{ redirectTo: string }> {
  const goal = until ?? new URL(authorizationUrl).searchParams.get('redirect_uri')
  if (goal === null) throw new Error('login: the authorization URL has no redirect_uri')
  let next: Step = { url: authorizationUrl }
  for (let page = 0; page < MAX_PAGES; page += 1) {
    next = await followPage(next, cookieJar, { username, password })
    if (next.url.startsWith(goal)) return { redirectTo: next.url }
  }
  throw new Error(`login: no end after ${MAX_PAGES} pages`)
}

interface Step {
  url: string
  form?: URLSearchParams
}

async function followPage(step: Step, jar: CookieJar, credentials: Credentials): Promise<Step> {
  const url = new URL(step.url)
  const cookies = jar.get(url.origin) ?? new Map<string, string>()
  const response = await fetch(url, {
    method: step.form ? 'POST' : 'GET',
    redirect: 'manual',
    headers: { accept: 'text/html', cookie: [...cookies].map((cookie) => cookie.join('=')).join('; ') },
    body: step.form ?? null,
  })
  keepCookies(response, cookies)
  jar.set(url.origin, cookies)
  const page = await response.text()

  const location = response.headers.get('location')
  if (location !== null) return { url: absolute(location, url) }
  if (!response.ok) {
    throw new Error(`login: ${url.origin}${url.pathname} answered ${response.status}: ${textOf(page)}`)
  }
  return submission(page, url, credentials) ?? onlyLink(page, url)
}

function keepCookies(response: Response, cookies: Map<string, string>): void {
  for (const line of response.headers.getSetCookie()) {
    const [pair = ''] = line.split(';', 1)
    const name = pair.slice(0, pair.indexOf('='))
    const value = pair.slice(pair.indexOf('=') + 1)
    const gone = value === '' || /;\s*(max-age=0|expires=Thu, 01 Jan 1970)/i.test(line)
    if (gone) cookies.delete(name)
    else cookies.set(name, value)
  }
}

interface Credentials {
  username: string
  password: string
}

/** The page's form with its own values, its first button, and the credentials in its text and password fields. */
function submission(page: string, base: URL, { username, password }: Credentials): Step | undefined {
  const [, formTag, inside] = /(<form[^>]*>)(.*?)<\/form>/is.exec(page) ?? []
  if (formTag === undefined || inside === undefined) return undefined
  const form = new URLSearchParams()
  for (const [input] of inside.matchAll(/<input[^>]*>/gi)) {
    const name = attribute(input, 'name')
    const type = attribute(input, 'type')
    if (name === undefined) continue
    const typed = { text: username, password }[type ?? 'text']
    form.append(name, typed ?? attribute(input, 'value') ?? '')
  }
  const [button = ''] = /<button[^>]*>/i.exec(inside) ?? []
  const name = attribute(button, 'name')
  if (name !== undefined) form.append(name, attribute(button, 'value') ?? '')
  return { url: absolute(attribute(formTag, 'action') ?? base.href, base), form }
}

function onlyLink(page: string, base: URL): Step {
  const links = [...page.matchAll(/<a\s[^>]*>/gi)].map(([tag]) => attribute(tag, 'href'))
  const [link] = links
  if (links.length !== 1 || link === undefined) {
    throw new Error(
      `login: ${base.origin}${base.pathname} has no form and ${links.length} links: ${textOf(page)}`,
    )
  }
  return { url: link }
}

function attribute(tag: string, name: string): string | undefined {
  const value = new RegExp(`\\s${name}="([^"]*)"`, 'i').exec(tag)?.[1]
  return value?.replace(/&(#x[0-9a-f]+|#[0-9]+|amp|lt|gt|quot);/gi, (_, entity: string) => character(entity))
}

function character(entity: string): string {
  if (entity.startsWith('#')) {
    return String.fromCodePoint(Number(entity.toLowerCase().replace('#x', '0x').replace('#', '')))
  }
  return { amp: '&', lt: '<', gt: '>', quot: '"' }[entity.toLowerCase()] ?? ''
}

/** A relative reference is resolved; an absolute one is kept to the letter, as an app compares it so. */
function absolute(reference: string, base: URL): string {
  return /^[a-z][a-z0-9+.-]*:/i.test(reference) ? reference : new URL(reference, base).href
}

/** The words of a page, for an error message. */
function textOf(page: string): string {
  const words = page.replace(/<(style|script|title)[^>]*>.*?<\/\1>/gis, ' ').replace(/<[^>]*>/g, ' ')
  return words.replace(/\s+/g, ' ').trim().slice(0, 200)
}
