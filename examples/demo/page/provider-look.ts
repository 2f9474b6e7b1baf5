import type { DemoProvider } from '../provider.ts'

/** In the place of the style that oidc-provider's pages bring along, which loads a font from elsewhere. */
const STYLE = `
:root{color-scheme:light dark;--ground:#f5f5f2;--card:#fff;--ink:#16181d;--quiet:#585e6b;--line:#b9bdc8;--button:#2f4ad0}
@media(prefers-color-scheme:dark){:root{--ground:#0e1014;--card:#16191f;--ink:#e8eaef;--quiet:#a0a7b5;--line:#4a5160;--button:#4159d8}}
*{box-sizing:border-box}
body{margin:0;min-height:100vh;padding:1rem;display:grid;place-content:center;grid-template-columns:minmax(0,23rem);color:var(--ink);background:var(--ground);font:1rem/1.5 system-ui,sans-serif}
.login-card{padding:1.5rem;border:1px solid var(--line);border-radius:.875rem;background:var(--card)}
h1{margin:0 0 1rem;font-size:1.375rem;letter-spacing:-.015em}
input{width:100%;min-height:2.75rem;margin:0 0 .75rem;padding:0 .75rem;border:1px solid var(--line);border-radius:.625rem;color:inherit;background:transparent;font:inherit}
input::placeholder{color:var(--quiet);opacity:1}
button{width:100%;min-height:2.75rem;border:0;border-radius:.625rem;color:#fff;background:var(--button);font:inherit;font-weight:600;cursor:pointer}
:focus-visible{outline:2px solid var(--button);outline-offset:2px}
ul{margin:0 0 1rem;padding-left:1.25rem;color:var(--quiet)}
.login-help{margin-top:1rem;text-align:center}
.login-help a{color:var(--quiet)}
.grant-debug{display:none}
`
const ICON = '<link rel="icon" href="data:,">'

/** Gives the sign-in pages a look that fits the demo and loads nothing from elsewhere. What they do is untouched. */
export function dressProvider(provider: Pick<DemoProvider, 'onRequest'>): void {
  provider.onRequest((request, response) => {
    if (request.method !== 'GET' || !request.url?.startsWith('/interaction/')) return undefined
    const end = response.end.bind(response) as (...rest: unknown[]) => typeof response
    response.end = (...[content, ...rest]: unknown[]) => {
      if (typeof content !== 'string' || response.headersSent) return end(content, ...rest)
      const page = dressed(content)
      response.setHeader('content-length', Buffer.byteLength(page))
      return end(page, ...rest)
    }
    return undefined
  })
}

function dressed(page: string): string {
  return page
    .replace('<html >', '<html lang="en">')
    .replace(/<style>.*?<\/style>/s, `<style>${STYLE}</style>${ICON}`)
    .replace('type="text" name="login"', '$& autocomplete="username" aria-label="Name"')
    .replace('type="password" name="password"', '$& autocomplete="current-password" aria-label="Password"')
}
