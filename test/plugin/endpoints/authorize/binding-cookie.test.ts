import t from 'tap'
import { isBindingCookie } from '../../../../plugin/api/internal.ts'
import { bindBrowser } from '../../../../plugin/endpoints/authorize/browser-binding.ts'

for (const publicUrl of ['https://api.example.com', 'http://127.0.0.1:8080']) {
  t.test(`the cookie that binds a browser at ${publicUrl} is known as ours (A-18, H-17)`, async (t) => {
    const { setCookies } = bindBrowser(
      { publicUrl, transactionSeconds: 60, responseMode: 'query' },
      'A'.repeat(22),
      undefined,
    )
    const name = setCookies[0]!.split('=', 1)[0]!
    t.ok(isBindingCookie(name))
    t.ok(
      isBindingCookie(name.toLowerCase()),
      'whatever its case: Cookie names are compared leniently by some',
    )
    t.notOk(isBindingCookie(`x${name}`))
  })
}

t.test('other cookies are not ours', async (t) => {
  for (const name of ['', 'pkce', 'session', '__Host-session', '__Secure-pkce-x'])
    t.notOk(isBindingCookie(name))
})
