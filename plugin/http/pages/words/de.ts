import type { Words } from './words.ts'

export const de: Words = {
  lang: 'de',
  unverified: (name) => `${name} (nicht überprüft)`,
  nameless: 'einer App ohne Namen',
  continuing: {
    title: (app) => `Weiter zu ${app}`,
    question: (app, provider, host) =>
      `Sie haben sich mit ${provider} bei ${host} angemeldet. Wenn Sie das nicht in ${app} begonnen haben, schließen Sie diese Seite.`,
    button: (app) => `Weiter zu ${app}`,
  },
  choice: {
    title: (app) => `Anmelden bei ${app}`,
    question: (host) => `Wie möchten Sie sich bei ${host} anmelden?`,
    button: (provider) => `Weiter mit ${provider}`,
  },
  consent: {
    title: 'Zugriff erlauben?',
    fromHost: (appHost, host) => `Die App von ${appHost} möchte in Ihrem Namen auf ${host} zugreifen.`,
    fromName: (name, host) =>
      `Eine App, die sich ${name} nennt, möchte in Ihrem Namen auf ${host} zugreifen. Diesen Namen hat niemand überprüft.`,
    fromNameless: (host) => `Eine App ohne Namen möchte in Ihrem Namen auf ${host} zugreifen.`,
    permissions: 'Die App darf dann:',
    noPermissions: 'Die App erfährt, dass Sie sich angemeldet haben, und sonst nichts.',
    answerToHost: (appHost) => `Die Antwort geht an ${appHost}.`,
    answerToThisComputer: (address) =>
      `Die Antwort geht an eine App auf diesem Computer (${address}). Jede andere App dort könnte sich an ihre Stelle setzen.`,
    answerToThisDevice: (scheme) =>
      `Die Antwort geht an die App auf diesem Gerät, die ${scheme} öffnet. Jede andere App dort könnte sich an ihre Stelle setzen.`,
    question:
      'Haben Sie das gerade selbst begonnen, in einer App, der Sie vertrauen? Wenn nicht, lehnen Sie ab.',
    allow: 'Erlauben',
    deny: 'Ablehnen',
  },
  failures: {
    used: {
      title: 'Zurück zur App',
      text: () =>
        'Dieser Anmeldelink ist unbekannt, abgelaufen oder schon benutzt. Wenn Sie in der App nicht angemeldet sind, beginnen Sie dort noch einmal.',
    },
    otherBrowser: {
      title: 'Zurück zur App',
      text: () =>
        'Diese Anmeldung wurde in einem anderen Browser begonnen. Gehen Sie zur App zurück und beginnen Sie noch einmal.',
    },
    denied: {
      title: 'Sie sind nicht angemeldet',
      text: () => 'Die Anmeldung wurde abgebrochen oder nicht erlaubt. Die App hat keinen Zugriff.',
    },
    app: {
      title: 'Diese App hat einen Fehler gemacht',
      text: (service) =>
        `${service} kann die Anfrage, mit der die App Sie hierher geschickt hat, nicht annehmen. Sie selbst können daran nichts ändern; bitte informieren Sie das Entwicklungsteam der App.`,
    },
    provider: {
      title: 'Die Anmeldung ist fehlgeschlagen',
      text: (service) =>
        `${service} konnte die Anmeldung nicht abschließen. Bitte versuchen Sie es später noch einmal.`,
    },
    busy: {
      title: 'Zu viele Versuche',
      text: () =>
        'Es gab zu viele Anmeldungen in kurzer Zeit. Bitte warten Sie einige Minuten und versuchen Sie es dann noch einmal.',
    },
    unavailable: {
      title: 'Zurzeit nicht verfügbar',
      text: (service) =>
        `${service} kann Sie im Moment nicht anmelden. Bitte versuchen Sie es in einigen Minuten noch einmal.`,
    },
    internal: {
      title: 'Etwas ist schiefgegangen',
      text: (service) =>
        `Bei ${service} ist ein Fehler aufgetreten. Bitte versuchen Sie es in einigen Minuten noch einmal.`,
    },
  },
  backTo: (app) => `Zurück zu ${app}`,
  developers: 'Für Entwickler',
  requestId: 'Anfrage-ID',
  support: 'Hilfe',
}
