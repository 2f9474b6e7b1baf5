/** How grave a finding is. `error`: logins or forwarded requests fail, or will at the next start. */
export type Severity = 'ok' | 'warning' | 'error'

interface Entry {
  readonly status: Severity
  /** What is. Words in braces differ from case to case. */
  readonly found: string
  /** What to do, with the key of the configuration. */
  readonly advice?: string
}

/**
 * Everything that `doctor` can find, by a code that stays the same. docs/operate.md is made of it.
 *
 * Source: requirements Q-09.
 */
export const CATALOGUE = {
  configuration_valid: { status: 'ok', found: 'It is valid.' },
  configuration_warning: {
    status: 'warning',
    found: '{A warning of the start}',
    advice: '{as the start says it}',
  },
  check_failed: {
    status: 'error',
    found: 'This part could not be checked: {reason}.',
    advice: 'Try again; if it stays, report it as a defect.',
  },

  secrets_sound: {
    status: 'ok',
    found: '{count} secrets are set; none is short, known, or used twice.',
  },
  secret_short: {
    status: 'warning',
    found: '{key} has no more than {length} characters.',
    advice: 'Make a new one at its owner, e.g. by `openssl rand -base64 32`, and set {key}.',
  },
  secret_guessable: {
    status: 'error',
    found: '{key} can be guessed: it is an example, or follows a pattern.',
    advice: 'Make a new one, e.g. by `openssl rand -base64 32`, and set {key}.',
  },
  secret_example: {
    status: 'warning',
    found: '{key} can be guessed: it is an example, or follows a pattern.',
    advice: 'Have another one in {key} before publicUrl is more than a loopback address.',
  },
  secret_repeated: {
    status: 'warning',
    found: '{key} is the same as {other}.',
    advice: 'Give each a secret of its own: who learns one has both.',
  },
  secret_file_open: {
    status: 'warning',
    found: '{file} ({key}) can be {what} by other users: its mode is {mode}.',
    advice: 'Close it: `chmod 600 {file}`.',
  },

  node_supported: { status: 'ok', found: 'Node {version} gets security fixes until {end}.' },
  node_ends: {
    status: 'warning',
    found: 'Node {version} gets no security fixes after {end}.',
    advice: 'Plan the move to Node {newest}.',
  },
  node_ended: {
    status: 'warning',
    found: 'Node {version} gets no security fixes: they ended on {end}.',
    advice: 'Move to Node {newest}.',
  },
  node_unknown: {
    status: 'warning',
    found: 'Node {version} is not one of the long-term versions that are tested here.',
    advice: 'Use Node {newest}.',
  },
  node_not_production: {
    status: 'warning',
    found: 'NODE_ENV is not production, and publicUrl is https.',
    advice: 'Set NODE_ENV=production: what loses sessions or checks no certificates is refused then.',
  },
  node_checks_nothing: {
    status: 'error',
    found: 'NODE_TLS_REJECT_UNAUTHORIZED is 0: certificates are checked nowhere but at the provider.',
    advice: 'Unset it; name a private CA in provider.caFile, upstreams[].caFile or store.caFile.',
  },
  node_extra_ca: {
    status: 'ok',
    found: 'NODE_EXTRA_CA_CERTS names authorities that are trusted for every connection without a caFile.',
  },
  node_extra_ca_unreadable: {
    status: 'warning',
    found: 'NODE_EXTRA_CA_CERTS names a file that cannot be used: {reason}.',
    advice: 'Correct the name, or its owner and mode: Node goes on without it.',
  },
  node_proxy_unused: {
    status: 'warning',
    found: 'The gateway goes through no proxy, whatever {variables} says.',
    advice: 'Let this machine reach the provider and the upstreams itself, and unset the variable.',
  },

  listen_port_free: { status: 'ok', found: '{address} can be opened ({key}.port).' },
  listen_port_own: { status: 'ok', found: '{address} is open: a gateway runs here, and is {state}.' },
  listen_port_taken: {
    status: 'error',
    found: '{address} cannot be opened: {code}.',
    advice: '{What the code asks for, with} listen.port, admin.port, listen.host or admin.host.',
  },
  listen_not_ready: {
    status: 'warning',
    found: 'The gateway that runs here is {state}: {parts}.',
    advice: 'See the findings of these parts, and its log.',
  },
  listen_files: {
    status: 'ok',
    found: 'The process may open {limit} files, and {needed} are enough for listen.maxConnections.',
  },
  listen_files_few: {
    status: 'warning',
    found: 'The process may open {limit} files, and listen.maxConnections takes up to {needed}.',
    advice: 'Raise the limit (`LimitNOFILE=` of systemd, `ulimit -n`), or lower listen.maxConnections.',
  },
  listen_certificate: {
    status: 'ok',
    found: 'The certificate of {host} ends on {end}; its key and its chain belong to it.',
  },
  listen_certificate_unusable: {
    status: 'error',
    found: 'The certificate cannot be used: {reason}.',
    advice: 'Put a PEM certificate with its chain and its own key into listen.tls.certFile and keyFile.',
  },
  listen_certificate_expired: {
    status: 'error',
    found: 'The certificate has ended on {end}.',
    advice: 'Renew listen.tls.certFile; the gateway takes the new file without a restart.',
  },
  listen_certificate_ends: {
    status: 'warning',
    found: 'The certificate ends on {end}.',
    advice: 'Look at what should have renewed listen.tls.certFile.',
  },
  listen_certificate_name: {
    status: 'error',
    found: 'The certificate is not for {host}, the host of publicUrl.',
    advice: 'Get one for that name into listen.tls.certFile, or correct publicUrl.',
  },
  listen_certificate_chain: {
    status: 'warning',
    found: 'The chain ends with a certificate whose issuer is neither in the file nor a public authority.',
    advice:
      'Append the intermediate certificates to listen.tls.certFile; with an authority of your own, all devices must trust it.',
  },

  proxies_named: { status: 'ok', found: 'trustProxy names {count}.' },
  proxies_none: { status: 'ok', found: 'None is needed: the gateway is reached directly.' },
  proxies_untrusted: {
    status: 'warning',
    found:
      'publicUrl is https and the listener has no TLS, so a proxy stands before it, and trustProxy is empty.',
    advice:
      'Name its addresses in trustProxy; without it all users share one address, and with it one rate limit.',
  },

  store_memory: {
    status: 'ok',
    found: 'Sessions are in the memory of the process, at most {maxRecords} records, and end with it.',
  },
  store_memory_public: {
    status: 'warning',
    found: 'Sessions are in the memory of the process, and publicUrl is no loopback address.',
    advice:
      'Use store.type redis or postgres: everybody is signed out by a restart, and there can be one instance.',
  },
  store_answers: {
    status: 'ok',
    found: '{server} takes writes and answers in {ms} ms; no permission is missing.',
  },
  store_notifies: {
    status: 'ok',
    found: 'Changes are heard, so that a session ends on every instance at once.',
  },
  store_slow: {
    status: 'warning',
    found: '{server} answers in {ms} ms.',
    advice: 'Put it nearer (store.url), or look at its load: a login waits for it several times.',
  },
  store_old: {
    status: 'error',
    found: '{server} is older than {least}.',
    advice: 'Update the server of store.url.',
  },
  store_unreachable: {
    status: 'error',
    found: 'It cannot be reached: {reason}.',
    advice: 'Start the server, or correct store.url, DNS and firewall.',
  },
  store_untrusted: {
    status: 'error',
    found: 'TLS fails: {reason}.',
    advice: 'Name its authority in store.caFile, and the host of its certificate in store.url.',
  },
  store_credentials: {
    status: 'error',
    found: 'It refuses the user: {reason}.',
    advice: 'Correct the user name and the password in store.url or store.urlFile.',
  },
  store_permission: {
    status: 'error',
    found: 'The user of store.url lacks what it needs: {reason}.',
    advice: 'Grant it; docs/stores.md has the whole list.',
  },
  store_read_only: {
    status: 'error',
    found: 'The server takes no writes: {reason}.',
    advice: 'Let store.url lead to the primary.',
  },
  store_tables: {
    status: 'error',
    found: 'The tables cannot be used: {reason}.',
    advice: 'Run `pkce-gateway migrate` of the same version, with a role in store.url that may make tables.',
  },
  store_deaf: {
    status: 'error',
    found: 'Changes are not heard: {reason}.',
    advice: 'Behind a pooler, let store.listenUrl lead to the server itself.',
  },
  store_refused: {
    status: 'error',
    found: 'It cannot be used: {reason}.',
    advice: 'Correct the server, or store.url; docs/stores.md says what is needed.',
  },
  store_evicts: {
    status: 'warning',
    found:
      'Its maxmemory-policy is not noeviction: when memory is short, live sessions and used codes vanish.',
    advice: 'Set `maxmemory-policy noeviction` at the server of store.url.',
  },
  store_forgets: {
    status: 'warning',
    found: 'Its appendonly is off: a restart loses sessions, or brings back a code that was used.',
    advice: 'Set `appendonly yes` at the server of store.url.',
  },
  store_warning: {
    status: 'warning',
    found: '{A warning of the start}.',
    advice: 'docs/stores.md says how the server of store.url should be set.',
  },

  provider_metadata: {
    status: 'ok',
    found: 'Its metadata fits: the issuer, its endpoints, S256, client authentication and scopes.',
  },
  provider_endpoints: {
    status: 'ok',
    found: 'Its endpoints are written in the configuration; there is no metadata to ask.',
  },
  provider_unknown_name: {
    status: 'error',
    found: 'The host name of provider.issuer cannot be resolved ({code}).',
    advice: 'Correct provider.issuer, or the DNS of this machine.',
  },
  provider_unreachable: {
    status: 'error',
    found: 'It cannot be reached: {code}.',
    advice:
      'Let this machine connect to the host of provider.issuer: firewall, routes, and whether it is up.',
  },
  provider_untrusted: {
    status: 'error',
    found: 'Its certificate is signed by nobody who is trusted here ({code}); its issuer is {issuer}.',
    advice: 'Name the authority in provider.caFile, if it is yours.',
  },
  provider_certificate_wrong: {
    status: 'error',
    found: 'Its certificate is for another host, or not valid now ({code}).',
    advice: 'Correct provider.issuer, or look at its certificate and the clock of this machine.',
  },
  provider_certificate_ends: {
    status: 'warning',
    found: 'Its certificate ends on {end}.',
    advice: 'Tell whoever runs the host of provider.issuer.',
  },
  provider_no_metadata: {
    status: 'error',
    found: '{What is wrong with the issuer or its metadata}.',
    advice: '{how to write} provider.issuer, provider.tenants, {or the endpoints}.',
  },
  provider_pkce: {
    status: 'error',
    found: 'The metadata does not list S256 in code_challenge_methods_supported.',
    advice: '{With the value of} provider.pkce.',
  },
  provider_metadata_refused: {
    status: 'error',
    found: '{What else keeps the metadata from being used}.',
    advice: '{with its key}',
  },
  provider_metadata_warning: {
    status: 'warning',
    found: '{What the metadata does not list: a scope, our client authentication, the response mode, PKCE}.',
    advice: '{with} provider.scope, provider.clientAuthentication, provider.responseMode {or} provider.pkce.',
  },
  provider_clock: { status: 'ok', found: 'Its clock and the one here agree within {seconds} s.' },
  provider_clock_differs: {
    status: 'warning',
    found: 'Its clock is {seconds} s {direction} of the one here.',
    advice: 'Set the clock of this machine by NTP: tokens are judged by it.',
  },
  provider_clock_off: {
    status: 'error',
    found: 'Its clock is {seconds} s {direction} of the one here, more than provider.clockToleranceSeconds.',
    advice:
      'Set the clock of this machine by NTP: logins fail, because an id_token is from the future or over.',
  },
  provider_keys: { status: 'ok', found: '{count} of its keys can verify an id_token.' },
  provider_keys_unusable: {
    status: 'error',
    found: 'None of its keys can verify an id_token here: RS, PS, ES and EdDSA signatures are accepted.',
    advice: 'Have it sign by a public key, e.g. RS256 or ES256; or take `openid` out of provider.scope.',
  },
  provider_keys_unreachable: {
    status: 'error',
    found: 'Its keys cannot be read: {code}.',
    advice:
      'Let this machine reach the jwks_uri of its metadata (provider.jwksUri), by which an id_token is verified.',
  },
  provider_redirect_registered: { status: 'ok', found: '{callback} is registered there.' },
  provider_redirect_untold: {
    status: 'ok',
    found: 'It refuses no authorization request of ours before the user signs in.',
    advice: 'That {callback} is registered there, only the first login shows.',
  },
  provider_redirect_refused: {
    status: 'error',
    found: 'It refuses our authorization request: {words}.',
    advice: '{What its word stands for, with the redirect URI to register and} provider.clientId.',
  },
  provider_authorization_unreachable: {
    status: 'warning',
    found: 'Its authorization endpoint does not answer from here: {code}.',
    advice: 'Browsers must reach it; register {callback} there as the redirect URI.',
  },

  upstream_none: { status: 'ok', found: 'There are none: only logins are served.' },
  upstream_answers: { status: 'ok', found: '{target} answers ({status}).' },
  upstream_failed: {
    status: 'error',
    found: '{target}: {what is wrong}.',
    advice: '{what its error asks for, with} upstreams[].target {or} upstreams[].caFile.',
  },
  upstream_certificate_ends: {
    status: 'warning',
    found: 'The certificate of {target} ends on {end}.',
    advice: 'Renew it at the server of upstreams[].target.',
  },
} as const satisfies Record<string, Entry>

/** What can be found. */
export type FindingCode = keyof typeof CATALOGUE
