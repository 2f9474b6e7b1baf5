import { writeFileSync } from 'node:fs'
import { answerFor, type Refusal, refusalReasons } from '../../gateway/http/refusals.ts'
import { OAuthError, type Reason, reasons } from '../../plugin/oauth/errors.ts'

/** docs/errors.md: every reason, what the client is told, and what it means to an operator. */

const MEANINGS: Readonly<Record<Reason, string>> = {
  method_not_allowed: 'An endpoint was asked with another method. HEAD is one: it would use up a state.',
  media_type: 'An endpoint that takes a form was sent something else.',
  content_encoding: 'The body was compressed.',
  body_timeout: 'The body did not arrive within ten seconds.',
  body_too_large: 'A form was longer than 16 KiB, or a pushed request longer than 8 KiB.',
  form_malformed: 'A query or form is no valid percent-encoding, or no UTF-8.',
  parameter_repeated: 'A parameter came twice. A proxy or a library adds it a second time.',
  parameters_too_many: 'More parameters than any client sends.',
  parameter_invalid: 'A parameter that is needed is missing, or is not of its form.',
  parameters_in_url: 'A POST had a query. Credentials do not belong into a URL.',
  request_malformed: 'A hook of the app has refused the request.',
  url_too_long: 'The URL was longer than 8 KiB.',
  rate_limited: 'The limit of an address was reached: `rateLimit`. If all users share one, set `trustProxy`.',
  overloaded: 'The instance sheds load: `listen.overload`, `limits.transactions`, or a hook of the app.',
  client_unknown: 'No client has this `client_id`.',
  client_disabled: '`clients[].enabled` is false.',
  client_credentials_missing: 'The client is registered with a secret, and sent none.',
  client_credentials_wrong: "The secret is not the client's.",
  client_credentials_malformed: 'The Basic credentials cannot be read (RFC 6749 §2.3.1).',
  client_method_not_registered: 'The secret came in another way than `clients[].authentication` says.',
  client_methods_several: 'The secret came in two ways at once.',
  client_document_address:
    'The `client_id` is an address that is not https, has no path, or is spelled in another way than URL classes do; or its host is not in `agents.allowedHosts`.',
  client_document_unavailable:
    "Nothing with status 200 came from the app's address within five seconds and 64 KiB; redirects are not followed, and private addresses are not connected to. The line before says what it was. It is asked again after a minute.",
  client_document_busy: 'More than 32 descriptions were being fetched at a time, or four of one host.',
  client_document_invalid:
    "The app's description is no JSON object, has the `client_id` of another address, or a secret. The line before says what it was.",
  client_document_redirect_uri:
    "A redirect URI in the app's description would not be accepted in `clients[]` either.",
  client_document_method:
    "The app's description asks for private_key_jwt, another grant type or another response type. Such an app must be registered in `clients[]`.",
  client_metadata_malformed: 'A registration is no JSON object, or its name is no text.',
  client_metadata_redirect_uri:
    'A redirect URI of a registration would not be accepted in `clients[]` either.',
  client_metadata_unsupported: 'A registration is for another grant type or response type.',
  registrations_full: '`agents.registration.max` apps are registered.',
  registration_token_invalid:
    'Somebody wanted to read or delete a registration with a wrong token, or one that is gone.',
  consent_denied: 'The person did not allow the app what it asked for.',
  consent_elsewhere:
    'The answer of a page of consent came without the cookie of the browser that was shown it, too late, or from another site.',
  authorize_client_unknown: 'No enabled client has this `client_id`.',
  redirect_uri_mismatch: 'The redirect URI is not one of `clients[].redirectUris`, byte for byte.',
  response_type_missing: 'There is no `response_type`.',
  response_type_unsupported: 'Only `code` is supported.',
  response_mode_unsupported: 'Only `query` is supported.',
  challenge_missing: 'The app does not use PKCE.',
  challenge_malformed: 'The challenge is not 43 characters of base64url.',
  challenge_method_unsupported: 'The app asked for `plain`, or left the method out, which means plain.',
  resource_unknown: 'A `resource` is not the address of an upstream, or not in `resources` (RFC 8707).',
  resource_not_granted: 'A token request names a `resource` that the login was not for (RFC 8707 §2.2).',
  scope_not_allowed: 'A scope is not in `clients[].scopes`.',
  state_malformed: 'The state has characters that are not visible ASCII.',
  identity_provider_unknown:
    '`identity_provider` is no name in `providers`, or not in `clients[].providers`.',
  dpop_jkt_malformed: '`dpop_jkt` is no SHA-256 thumbprint (RFC 9449 §10).',
  prompt_none: 'A silent login could ride on the consent given to another app.',
  prefetch_refused: 'A browser guessed the next page. Nothing has happened.',
  request_object_unsupported: '`request` is not supported.',
  request_uri_unsupported:
    '`request_uri` names a document elsewhere: only those of our own `/par` are supported.',
  request_uri_pushed: 'A `request_uri` was pushed in place of a request.',
  par_required: '`clients[].requirePar` is true, and the request came by the browser.',
  pushed_request_unknown:
    "The `request_uri` is none of ours, older than a minute, or another client's; or its secret is gone from `secrets`.",
  pushed_request_used: 'The `request_uri` was used before, e.g. by a reload of the page.',
  registration_unsupported: '`registration` and `claims` are not supported.',
  transactions_per_address: 'More logins of one address are under way than `limits.transactionsPerAddress`.',
  transactions_full: 'More logins are under way than `limits.transactions`.',
  callback_malformed: 'The provider, or somebody else, sent a response that is none.',
  state_unknown:
    'The login is unknown here: older than `lifetimes.transactionSeconds`, or begun before a restart with the memory store.',
  state_used: 'The callback was opened a second time, e.g. by a reload.',
  transaction_sealed: 'The secret that the login began with is gone: keep old `secrets` in the list.',
  browser_mismatch:
    'Another browser came back than the one that began. An attack, or cookies that do not arrive: `publicUrl` must be what the browser sees.',
  issuer_mismatch: 'The response names another provider, or came to the callback of another one.',
  client_gone: 'The client, its redirect URI or its provider was removed during the login.',
  grant_type_missing: 'There is no `grant_type`.',
  grant_type_unsupported: 'Only `authorization_code` and `refresh_token` are supported.',
  verifier_malformed: 'The `code_verifier` is not of its form (RFC 7636 §4.1).',
  code_missing: 'There is no `code`.',
  refresh_token_missing: 'There is no `refresh_token`.',
  token_missing: 'There is no `token`.',
  code_unknown: 'The code is none of ours, or is forgotten.',
  code_client_mismatch: 'Another client presents the code. The login is over.',
  code_redirect_uri_mismatch: 'The redirect URI is another than at the beginning. The login is over.',
  code_expired: 'The code is older than `lifetimes.codeSeconds`.',
  code_verifier_mismatch:
    'The verifier does not fit the challenge: somebody has stolen the code, or the app mixes two logins up. The login is over.',
  code_key_mismatch:
    'The request began with a `dpop_jkt`, and the proof is of another key, or there is none: somebody has stolen the code, or the app made a new key meanwhile. The login is over.',
  code_in_use: 'The code was sent twice. The other request goes on.',
  code_busy: 'The code was sent twice, and the other request still runs.',
  code_replayed: 'A used code was sent again: the session is ended.',
  refresh_unknown: 'The refresh token is none of ours, or its session is over.',
  refresh_client_mismatch: 'Another client presents the refresh token.',
  refresh_expired:
    'The session was not renewed for `lifetimes.refreshIdleSeconds`, or has reached `sessionSeconds`.',
  refresh_key_mismatch:
    'The refresh token is bound to a key, and the proof is of another one, or there is none: somebody has stolen the token, or the app has lost its key. The session goes on.',
  refresh_reused: 'An older refresh token was used again: the session is ended.',
  refresh_busy: 'Another request renews this session at the provider.',
  refresh_overtaken: 'Another request was faster; try again with what it got.',
  grant_ended: 'The session, or the login, is over.',
  grant_unreadable:
    'The record does not open: a secret is gone from `secrets`, or the store was tampered with.',
  dpop_proof_missing:
    'There is no `DPoP` header, and the client must send one (`clients[].dpop: required`), or the access token is bound to a key. A proxy in between may drop it.',
  dpop_proof_repeated: 'There is more than one `DPoP` header.',
  dpop_proof_malformed:
    'The proof is no JWT of the type `dpop+jwt` with a public key, an algorithm that is taken, and `htm`, `htu`, `iat`, `jti`.',
  dpop_proof_key:
    'The proof is of another key than the one that the token, or `dpop_jkt`, is bound to: somebody has stolen the token, or the app made a new key.',
  dpop_proof_target:
    '`htm` or `htu` is not of this request: `htu` must be `publicUrl` with the path that arrives here.',
  dpop_proof_token: '`ath` is missing, or not of this access token.',
  dpop_proof_time:
    '`iat` is more than a minute away from the clock of the store: look at the clock of the device.',
  dpop_proof_signature: 'The signature is not of the key in the proof.',
  dpop_proof_replayed: 'The proof was used before: it was stolen, or the app sends one proof twice.',
  dpop_nonce:
    'The proof has no nonce, or one that is older than half a minute. Each client meets this now and then, and sends another proof.',
  dpop_proofs_full:
    'More proofs were used within half a minute than the process can remember. Add instances.',
  provider_not_ready: "The provider's metadata has not been read yet: see the log at start.",
  provider_unavailable: 'The provider does not answer, or says to try later.',
  provider_refused_grant: 'The provider refuses its code or its refresh token.',
  provider_refused_client: 'The provider refuses us: the log line says what to look at.',
  provider_answer_invalid: 'The response of the provider cannot be used; `cause` names the part.',
  provider_id_token_invalid: 'The id_token fails a check; `cause` names it.',
  provider_subject_mismatch: 'The provider gave the tokens of somebody else.',
  login_denied: '`onLogin` has denied the login.',
  login_undecided: '`onLogin` failed, or took more than five seconds.',
  store_unavailable: 'The store cannot answer. Nobody was signed out.',
  commit_failed: 'The store failed at the last step of a login. The app has to begin again.',
  token_absent: 'The request has no access token.',
  token_malformed: 'There is more than one `Authorization`, or it is no bearer token.',
  token_in_query: 'The access token was in the URL.',
  token_unknown: 'The access token is none of ours, or its session is over.',
  token_expired: 'The access token has ended; the app has to refresh.',
  token_client_disabled: 'The client of the session was disabled or removed.',
  token_sealed: 'The record does not open with this token: a secret is gone from `secrets`.',
  token_resource_mismatch:
    'The token was asked for with `resource`, for other APIs (RFC 8707). The app must ask for a token for this one.',
  token_bound:
    'The access token is bound to a key, and came as a bearer token: somebody has stolen it, or the app does not speak DPoP at this place.',
  token_not_bound: 'The access token is bound to no key, and came as DPoP.',
  token_subject_mismatch: '`tokens: relay`: the provider gave one token to two people.',
  authentication_too_weak:
    'The login had none of the `acr` values that the route requires, or its provider has told none: the app must send the person there again, with the `acr_values` of the challenge.',
  authentication_too_old:
    'The login is longer ago than the route allows, or its provider has not told when it was: the app must send the person there again, with the `max_age` of the challenge.',
  scope_insufficient: 'The session lacks a scope that the route requires.',
  session_unknown: 'An app names a session that its user does not have, or that is over.',
  logout_token_invalid:
    'A logout token of the provider fails a check; the log line `a logout token was refused` names it.',
  logout_token_replayed: 'A logout token came again: it has done its work already.',
  internal: 'A defect, here or in a hook of the app: the log has the stack.',
}

const HEAD = `# Errors and reasons

<!-- Made by \`npm run docs\` out of the tables of the code. -->

First [by endpoint](#by-endpoint), for who writes the app. Then every reason, for who runs the gateway:
[logins and sessions](#logins-and-sessions), [forwarding](#forwarding).

A log line or an audit event has a \`reason\`. The client is told less: many reasons have one response on purpose, so that
nobody learns which guess was right (RFC 6749 §10.10).

## By endpoint

What the app is told, and what its developers do about it.

| Where | Status, code | What to do |
|---|---|---|
| authorize | 400 page | Client or redirect URI is not registered: fix the app or the registry. It is never redirected. |
| authorize | redirect with \`error\` | The RFC 6749 §4.1.2.1 code says which parameter; \`error_description\` says what was expected. |
| callback | 400 page | The link is old, used, or was opened in another browser: start again from the app. |
| token | 400 \`invalid_request\` | The request is malformed; the code is untouched. |
| token | 400 \`invalid_grant\` | The grant is over: restart the login. (Also after a lost answer: [apps](apps.md#what-every-app-must-do).) |
| token | 401 \`invalid_client\` | Wrong client credentials, or a client that is not registered. |
| token | 502 \`server_error\` | The provider answered nonsense or refuses the gateway's own credentials: see the log. |
| any | 503 \`temporarily_unavailable\`, \`Retry-After\` | The store or the provider cannot answer. Nothing was let through. |
| any | 429 | The address limiter or too many logins under way from one address (\`Retry-After\` says when), or too many streams of one session. |
| forwarded | 401 / 403 problem details | No live session / a scope is missing; \`WWW-Authenticate\` tells which. |
| forwarded | 400, 404, 405, 413, 421 problem details | The path is not canonical, no route, method, size, unknown host. |
| forwarded | 502 / 504 problem details | The upstream refused or broke off / did not answer in time. Details are in the log, under the request id. |

\`npx pkce-gateway doctor --config gateway.yaml\` looks at everything that a gateway needs, and says what to do:
[operate.md](operate.md#doctor-what-is-wrong-and-what-to-do).

## Logins and sessions

| Reason | Response | What happened, and what to look at |
|---|---|---|
`

const FORWARDING = `
## Forwarding

The gateway's own responses on forwarded routes are problem details (RFC 9457) with the reason as \`code\`. Responses of
the upstream pass as they are.

| Code | Status | Told to the client |
|---|---|---|
`

/** docs/errors.md as it should be. */
export function errorsPage(): string {
  const oauth = reasons.map((reason) => {
    const { statusCode, error } = new OAuthError(reason)
    return `| <a id="${reason}"></a>\`${reason}\` | ${statusCode}${error === '' ? '' : ` \`${error}\``} | ${MEANINGS[reason]} |\n`
  })
  const forwarding = refusalReasons.map((refusal: Refusal) => {
    const { status, detail } = answerFor(refusal)
    return `| <a id="forwarding-${refusal}"></a>\`${refusal}\` | ${status} | ${detail} |\n`
  })
  return HEAD + oauth.join('') + FORWARDING + forwarding.join('')
}

if (process.argv[2] === '--write') {
  writeFileSync(new URL('../../docs/errors.md', import.meta.url), errorsPage())
}
