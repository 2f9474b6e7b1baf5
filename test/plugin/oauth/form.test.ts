import t from 'tap'
import { assertFormMediaType, parseForm } from '../../../plugin/oauth/form.ts'
import { reasonOf, refusal } from '../../support/oauth-fixtures.ts'

t.test('form: media type (RFC 6749 §4.1.3, C-02)', async (t) => {
  const accepted = [
    'application/x-www-form-urlencoded',
    'Application/X-WWW-Form-Urlencoded',
    'application/x-www-form-urlencoded;charset=UTF-8',
    'application/x-www-form-urlencoded; charset="utf-8"',
  ]
  for (const contentType of accepted) {
    t.test(`accepts ${contentType}`, async (t) => {
      t.doesNotThrow(() => assertFormMediaType(contentType))
    })
  }
  const refused = [
    undefined,
    '',
    'application/json',
    'text/plain',
    'multipart/form-data; boundary=x',
    'application/x-www-form-urlencoded; charset=utf-16',
    'application/x-www-form-urlencoded; charset=utf-8; x=y',
    'application/x-www-form-urlencoded; charset="utf-8',
    'application/x-www-form-urlencoded, application/json',
    'application/x-www-form-urlencodedx',
    'application/x-www-form-urlencoded\n',
    'xapplication/x-www-form-urlencoded',
  ]
  for (const contentType of refused) {
    t.test(`refuses ${JSON.stringify(contentType)}`, async (t) => {
      const error = refusal(() => assertFormMediaType(contentType))
      t.match(error, { reason: 'media_type', statusCode: 400, error: 'invalid_request' })
    })
  }
})

t.test('form: decoding', async (t) => {
  t.test('escapes, plus signs and UTF-8 are decoded once (RFC 6749 Appendix B)', async (t) => {
    t.same(
      { ...parseForm('a=%2B+%25&%C3%BC=%E2%82%AC&c=x=y', ['a', 'ü', 'c']) },
      { a: '+ %', ü: '€', c: 'x=y' },
    )
  })

  t.test('an empty value counts as omitted, and so does a bare name (RFC 6749 §3.1, A-11)', async (t) => {
    t.same(Object.keys(parseForm('redirect_uri=&state&&code=a&', ['redirect_uri', 'state', 'code'])), [
      'code',
    ])
  })

  const repeated = ['code=a&code=b', 'code=a&%63ode=b', 'code=a&%63ode=', 'code&code', 'a+b=1&a%20b=2']
  for (const text of repeated) {
    t.test(`a name that decodes to another's is a repeat: ${text} (RFC 6749 §3.1, A-10, C-05)`, async (t) => {
      t.match(
        refusal(() => parseForm(text, ['code', 'a b'])),
        { reason: 'parameter_repeated', statusCode: 400 },
      )
    })
  }

  const malformed: [string, string][] = [
    ['an escape that is none', 'code=%zz'],
    ['a cut escape', 'code=%2'],
    ['a bare percent sign', 'code=%'],
    ['UTF-8 that ends early', 'code=%c3'],
    ['over-long UTF-8', 'code=%c0%ae'],
    ['a surrogate in UTF-8', 'code=%ed%a0%80'],
    ['an escaped NUL', 'code=%00'],
    ['an escaped line break', 'code=a%0d%0ab'],
    ['DEL', 'code=%7f'],
    ['a C1 control', 'code=%c2%85'],
    ['a raw space', 'code=a b'],
    ['a raw line break', 'code=a\n'],
    ['a raw letter outside ASCII', 'code=ü'],
  ]
  for (const [what, text] of malformed) {
    t.test(`refuses ${what} (RFC 6749 Appendix B, C-04)`, async (t) => {
      t.equal(
        reasonOf(() => parseForm(text, ['code'])),
        'form_malformed',
      )
    })
    t.test(`ignores ${what} where nobody reads it (RFC 6749 §3.1, A-10, B-06, C-05)`, async (t) => {
      t.same({ ...parseForm(`${text}&state=s&${text}`, ['state']) }, { state: 's' })
    })
  }

  const unread = [
    'resource=https%3A%2F%2Fa&resource=https%3A%2F%2Fb',
    'scope=a&scope=b&error_message=100%',
    'error_message=f%FCr',
    'f%FCr=1&f%FCr=2',
    '%zz=a&%=b',
    'co%00de=a&code%0a=b&code%20=c&Code=d',
    '__proto__=a&__proto__=b&constructor=c',
    'x&x&=1&=2',
  ]
  for (const text of unread) {
    t.test(`what is not read is ignored: ${text} (RFC 8707 §2, A-10, B-06, C-05)`, async (t) => {
      t.same({ ...parseForm(`${text}&code=a&${text}`, ['code']) }, { code: 'a' })
    })
  }

  t.test('32 parameters pass and 33 do not, read or not (C-03)', async (t) => {
    const names = Array.from({ length: 33 }, (_, index) => `p${index}`)
    for (const pairs of [names.map((name) => `${name}=1`), names.map(() => 'resource=x')]) {
      t.doesNotThrow(() => parseForm(pairs.slice(1).join('&'), names))
      t.equal(
        reasonOf(() => parseForm(pairs.join('&'), names)),
        'parameters_too_many',
      )
    }
  })

  t.test('__proto__ and constructor are names like any other (C-05)', async (t) => {
    const parameters = parseForm('__proto__=x&code=a', ['__proto__', 'code', 'constructor'])
    t.equal(Object.getPrototypeOf(parameters), null)
    t.equal(parameters.code, 'a')
    t.equal(parameters.constructor, undefined)
    t.equal(({} as Record<string, unknown>).x, undefined)
  })

  t.test('an error says nothing of what was sent (C-21)', async (t) => {
    const error = refusal(() => parseForm('code=s3cret%zz', ['code']))
    t.notMatch(`${error.message} ${error.stack} ${String(error.cause)}`, 's3cret')
  })
})
