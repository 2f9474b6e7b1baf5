import { hash } from 'node:crypto'
import { BACKGROUNDS, textOn } from '../../options/pages/contrast.ts'
import type { ResolvedOptions } from '../../options/resolved.ts'

/** What all pages of one plugin have in common. */
export interface Look {
  /** Ours, where the person is. */
  readonly host: string
  readonly brand: ResolvedOptions['pages']
  readonly style: string
  readonly policy: string
  /** Of a page with a form. */
  readonly formPolicy: string
}

/** Made once: the style has the colour of the brand in it, and the policy the hash of the style. */
export function lookOf({ publicUrl, pages: brand }: Pick<ResolvedOptions, 'publicUrl' | 'pages'>): Look {
  const style = styleOf(brand.accentColor)
  const policy = (formAction: string) =>
    [
      "default-src 'none'",
      `style-src 'sha256-${hash('sha256', style, 'base64')}'`,
      // The logo is in the page itself, and an SVG in an <img> runs no script and loads nothing.
      ...(brand.logo === undefined ? [] : ['img-src data:']),
      `form-action ${formAction}`,
      "frame-ancestors 'none'",
      "base-uri 'none'",
    ].join('; ')
  return {
    host: new URL(publicUrl).host,
    brand,
    style,
    policy: policy("'none'"),
    // The form goes to us; where the browser is sent then, to the provider and wherever that sends it, Chromium holds to
    // `form-action` as well (CSP 3 §6.4.3), and nobody knows that list.
    formPolicy: policy('https: http:'),
  }
}

/** For phones first: a card from 30rem on. The brand's colour is on the button alone. */
function styleOf(accent: string): string {
  return `
:root{color-scheme:light dark;--page:#f3f4f6;--card:${BACKGROUNDS.light};--text:#15181e;--soft:#565e6c;--line:#d5d9e0;--bad:#b42318;--ring:#1d4ed8;--accent:${accent};--on:${textOn(accent)}}
@media(prefers-color-scheme:dark){:root{--page:#0a0c0f;--card:${BACKGROUNDS.dark};--text:#eceef2;--soft:#a6aebb;--line:#343a45;--bad:#ff9d94;--ring:#93c5fd}}
*{box-sizing:border-box}
body{margin:0;min-height:100vh;display:grid;grid-template-columns:minmax(0,26.5rem);justify-content:center;align-content:start;background:var(--card);color:var(--text);font:1rem/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif;overflow-wrap:anywhere}
.card{padding:2rem 1.5rem}
header{margin-bottom:2.5rem;font-weight:600;font-size:.9375rem;color:var(--soft)}
header img{display:block;max-width:min(13rem,100%);max-height:3rem}
h1{margin:0 0 .75rem;font-size:1.5rem;line-height:1.25;font-weight:650;letter-spacing:-.01em}
h1 svg{display:block;width:2.5rem;height:2.5rem;margin-bottom:1rem;color:var(--bad)}
p,ul{margin:0 0 .75rem}
li,.soft{color:var(--soft)}
ul{padding-left:1.25rem}
main bdi{font-weight:600;color:var(--text)}
h1 bdi,.buttons bdi{font-weight:inherit;color:inherit}
.buttons{display:grid;gap:.75rem;margin-top:1.75rem}
.buttons>*{display:block;width:100%;min-height:3rem;padding:.6875rem 1rem;border:1px solid var(--accent);border-radius:.625rem;background:var(--accent);color:var(--on);font:inherit;font-weight:600;text-align:center;text-decoration:none;cursor:pointer}
.equal>*,.buttons>button+button{border-color:var(--soft);background:var(--card);color:var(--text)}
.buttons>:hover{text-decoration:underline;text-underline-offset:.2em}
:focus-visible{outline:3px solid var(--ring);outline-offset:2px;border-radius:.625rem}
details,footer{margin-top:2rem;font-size:.8125rem;color:var(--soft)}
footer{padding-top:1rem;border-top:1px solid var(--line);display:flex;flex-wrap:wrap;gap:.25rem 1.25rem}
footer a{color:inherit}
summary{cursor:pointer}
details p{margin:.5rem 0 0}
code{font:.9em ui-monospace,Menlo,Consolas,monospace;user-select:all}
@media(min-width:30rem){body{align-content:center;background:var(--page);padding:2rem 0}.card{padding:2.5rem;background:var(--card);border:1px solid var(--line);border-radius:1rem}}
@media(prefers-color-scheme:dark){header img{padding:.5rem .625rem;border-radius:.5rem;background:#fff}}
`
}
