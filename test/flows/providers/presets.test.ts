/**
 * Each preset with nothing but its blanks, at a stub that is as strict as the provider, through a whole gateway
 * (M-01). The provider's own names lead to the stub, by TLS.
 */
import t from 'tap'
import { GUIDES } from '../../../plugin/options/provider/guides.ts'
import { PRESET_NAMES, type PresetName } from '../../../plugin/options/provider/presets/presets.ts'
import { newP8 } from '../../support/providers/apple.ts'
import { startPresetGateway } from '../../support/providers/gateway.ts'
import { FACTS } from '../../support/providers/stubs.ts'
import { until } from '../../support/wait.ts'

const DAY_SECONDS = 86_400

/** What a login comes to. */
interface Outcome {
  readonly subject: string
  readonly other: string
  /** Days after which a session that is used every day ends; absent: it is renewed at the provider. */
  readonly lastsDays?: number
  /** `userinfo` of ours, besides sub. */
  readonly claims?: object
  /** The refusal of a wrong secret in the log. */
  readonly wrongSecret: string
  /** What the app is told where the registered redirect URI changes before the exchange; default: the code is refused. */
  readonly wrongRedirectUri?: 'server_error'
}

const named = { name: 'alice', email: 'alice@example.com' }
const persons = { subject: 'alice', other: 'bob' }
const OUTCOMES: Readonly<Record<PresetName, Outcome>> = {
  google: {
    ...persons,
    claims: named,
    wrongSecret: 'status 401, error invalid_client',
    wrongRedirectUri: 'server_error',
  },
  apple: {
    ...persons,
    claims: { name: 'alice Example', email: 'alice@privaterelay.example' },
    wrongSecret: 'status 400, error invalid_client',
  },
  entra: { ...persons, claims: named, wrongSecret: 'status 401, error invalid_client 7000215' },
  'microsoft-personal': {
    ...persons,
    claims: named,
    wrongSecret: 'status 401, error invalid_client 7000215',
  },
  auth0: { ...persons, claims: named, wrongSecret: 'status 401, error access_denied' },
  okta: { ...persons, claims: named, wrongSecret: 'status 401, error invalid_client' },
  keycloak: { ...persons, claims: named, wrongSecret: 'status 401, error unauthorized_client' },
  cognito: { ...persons, claims: named, wrongSecret: 'status 400, error invalid_client' },
  github: {
    ...{ subject: '583236', other: '583234', lastsDays: 90 },
    claims: { name: 'alice' },
    wrongSecret: 'status 200, error incorrect_client_credentials',
    wrongRedirectUri: 'server_error',
  },
  'github-app': {
    ...{ subject: '583236', other: '583234' },
    claims: { name: 'alice' },
    wrongSecret: 'status 200, error incorrect_client_credentials',
    wrongRedirectUri: 'server_error',
  },
  gitlab: { ...persons, claims: named, wrongSecret: 'status 401, error invalid_client' },
  facebook: {
    ...{ subject: '101556789012345', other: '101536789012345', lastsDays: 60 },
    claims: named,
    wrongSecret: 'status 400, error 1',
    wrongRedirectUri: 'server_error',
  },
  linkedin: {
    ...persons,
    ...{ lastsDays: 60, claims: named },
    wrongSecret: 'status 401, error invalid_client',
    wrongRedirectUri: 'server_error',
  },
  slack: {
    ...persons,
    ...{ lastsDays: 90, claims: { name: 'alice' } },
    wrongSecret: 'status 200, error bad_client_secret',
    wrongRedirectUri: 'server_error',
  },
  discord: {
    ...{ subject: '803511102246789152', other: '803511102246789132' },
    wrongSecret: 'status 401, error invalid_client',
    wrongRedirectUri: 'server_error',
  },
}

for (const preset of PRESET_NAMES) {
  const facts = FACTS[preset]
  const outcome = OUTCOMES[preset]

  t.test(`${preset}: a person is the same at each login, and no other (M-01, F-17)`, async (t) => {
    const { app, stub, subject } = await startPresetGateway(t, preset)
    const first = await app.login()
    t.equal(await subject(first.access_token), outcome.subject)
    const userinfo = await app.call(first.access_token, '/oauth2/userinfo')
    t.match(userinfo.json, { sub: outcome.subject, ...outcome.claims })
    t.equal(await subject((await app.login()).access_token), outcome.subject)
    stub.person = 'bob'
    t.equal(await subject((await app.login()).access_token), outcome.other)
  })

  if (outcome.lastsDays === undefined) {
    t.test(`${preset}: the session is renewed there, again and again (M-01, D-11)`, async (t) => {
      const { app, stub, store, subject } = await startPresetGateway(t, preset)
      let tokens = await app.login()
      for (let renewed = 1; renewed <= 3; renewed++) {
        store.advance(8 * DAY_SECONDS)
        t.equal((await app.call(tokens.access_token)).status, 401, 'ours has ended')
        const answer = await app.refresh(tokens.refresh_token)
        t.equal(answer.status, 200, answer.text)
        tokens = answer.json as unknown as typeof tokens
        t.equal(await subject(tokens.access_token), outcome.subject)
        const asked = stub.at('token').filter(({ form }) => form.get('grant_type') === 'refresh_token')
        t.equal(asked.length, renewed)
      }
    })

    t.test(`${preset}: a refresh token that it refuses ends the session (M-01, D-10)`, async (t) => {
      const { app, stub, store } = await startPresetGateway(t, preset)
      const { refresh_token } = await app.login()
      stub.endAll()
      store.advance(8 * DAY_SECONDS)
      const answer = await app.refresh(refresh_token)
      t.equal(answer.status, 400)
      t.equal(answer.json.error, 'invalid_grant')
    })
  } else {
    const { lastsDays } = outcome
    t.test(`${preset}: without a refresh token it lasts ${lastsDays} days (M-01, D-15)`, async (t) => {
      const { app, stub, store, subject } = await startPresetGateway(t, preset)
      let tokens = await app.login()
      for (let day = 20; day < lastsDays; day += 20) {
        store.advance(20 * DAY_SECONDS)
        const answer = await app.refresh(tokens.refresh_token)
        t.equal(answer.status, day < lastsDays ? 200 : 400, `day ${day}: ${answer.text}`)
        tokens = answer.json as unknown as typeof tokens
        t.equal(await subject(tokens.access_token), outcome.subject)
      }
      store.advance(20 * DAY_SECONDS)
      t.match((await app.refresh(tokens.refresh_token)).json, { error: 'invalid_grant' })
      t.equal(stub.at('token').length, 1, 'nobody was asked')
    })
  }

  if (facts.cancel) {
    t.test(`${preset}: who does not want to sign in is told to the app (M-01, B-08)`, async (t) => {
      const { app, stub } = await startPresetGateway(t, preset)
      stub.consents = false
      await t.rejects(app.code(), { message: 'no code: access_denied' })
      t.equal(stub.at('token').length, 0)
    })
  }

  if (facts.endpoints.revocation) {
    t.test(`${preset}: a session that the app ends is ended there (M-01, E-04)`, async (t) => {
      const { app, stub } = await startPresetGateway(t, preset)
      const { refresh_token } = await app.login()
      t.equal((await app.revoke(refresh_token)).status, 200)
      await until(() => stub.at('revocation').length > 0)
      const token = stub.at('revocation')[0]!.form.get('token')!
      await until(() => !stub.isAlive(token))
      t.equal((await app.refresh(refresh_token)).json.error, 'invalid_grant')
    })
  }

  t.test(`${preset}: a wrong secret is our fault, and says so in the log alone (M-01, C-17)`, async (t) => {
    const wrong = preset === 'apple' ? { privateKey: newP8() } : { clientSecret: 'wrong-secret' }
    const { app, log } = await startPresetGateway(t, preset, wrong)
    const par = facts.endpoints.par
    if (par) {
      await t.rejects(
        app.code(),
        { message: 'no code: server_error' },
        'it is refused before the browser leaves',
      )
    } else {
      const answer = await app.redeem(await app.code())
      t.equal(answer.status, 502)
      t.equal(answer.json.error, 'server_error')
      t.notMatch(answer.text, /secret|client/)
    }
    t.match(log(), `"cause":"${outcome.wrongSecret}"`)
    t.notMatch(log(), 'wrong-secret')
    const explained = lineOf(log(), 'the provider refuses this client: ')
    t.match(explained, preset === 'apple' ? 'privateKey (the .p8 of that key)' : 'clientSecret (its value')
    t.match(explained, GUIDES[preset].where, 'where to look')
  })

  t.test(`${preset}: an unregistered redirect URI ends there, or at the exchange (M-01, C-17)`, async (t) => {
    const { app, stub, log } = await startPresetGateway(t, preset)
    const begun = await app.code()
    const registered = stub.redirectUri
    stub.redirectUri += '/elsewhere'
    const answer = await app.redeem(begun)
    t.equal(answer.json.error, outcome.wrongRedirectUri ?? 'invalid_grant')
    const explained = lineOf(log(), 'the provider refuses ')
    t.match(explained, registered, 'ours, ready to copy')
    t.match(explained, GUIDES[preset].where, 'where to look')
    await t.rejects(app.code(), /answered 400|elsewhere answered 404/, 'never ours')
    stub.redirectUri = registered
    t.ok((await app.login()).access_token, 'nothing is stuck')
  })
}

/** The message of the first line that begins so. */
function lineOf(log: string, beginning: string): string {
  const messages = log.split('\n').map((line) => String(line && JSON.parse(line).msg))
  return messages.find((message) => message.startsWith(beginning)) ?? ''
}
