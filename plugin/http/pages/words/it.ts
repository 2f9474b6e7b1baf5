import type { Words } from './words.ts'

export const it: Words = {
  lang: 'it',
  unverified: (name) => `${name} (non verificato)`,
  nameless: 'un’app senza nome',
  continuing: {
    title: (app) => `Continua su ${app}`,
    question: (app, provider, host) =>
      `Hai effettuato l’accesso con ${provider} su ${host}. Se non hai iniziato in ${app}, chiudi questa pagina.`,
    button: (app) => `Continua su ${app}`,
  },
  choice: {
    title: (app) => `Accedi a ${app}`,
    question: (host) => `Come vuoi accedere su ${host}?`,
    button: (provider) => `Continua con ${provider}`,
  },
  consent: {
    title: 'Consentire l’accesso?',
    fromHost: (appHost, host) => `L’app di ${appHost} chiede di accedere a ${host} a tuo nome.`,
    fromName: (name, host) =>
      `Un’app che dice di chiamarsi ${name} chiede di accedere a ${host} a tuo nome. Nessuno ha verificato questo nome.`,
    fromNameless: (host) => `Un’app senza nome chiede di accedere a ${host} a tuo nome.`,
    permissions: 'Potrà:',
    noPermissions: 'Saprà che hai effettuato l’accesso, e nient’altro.',
    answerToHost: (appHost) => `La risposta va a ${appHost}.`,
    answerToThisComputer: (address) =>
      `La risposta va a un’app su questo computer (${address}). Qualsiasi altra app del computer potrebbe prenderne il posto.`,
    answerToThisDevice: (scheme) =>
      `La risposta va all’app di questo dispositivo che apre ${scheme}. Qualsiasi altra app del dispositivo potrebbe prenderne il posto.`,
    question: 'L’hai avviato tu, proprio ora, in un’app di cui ti fidi? Se no, rifiuta.',
    allow: 'Consenti',
    deny: 'Rifiuta',
  },
  failures: {
    used: {
      title: 'Torna all’app',
      text: () =>
        'Questo link di accesso è sconosciuto, scaduto o già usato. Se nell’app non risulti connesso, ricomincia da lì.',
    },
    otherBrowser: {
      title: 'Torna all’app',
      text: () => 'Questo accesso è stato iniziato in un altro browser. Torna all’app e ricomincia.',
    },
    denied: {
      title: 'Non hai effettuato l’accesso',
      text: () => 'L’accesso è stato annullato o non è stato consentito. L’app non ha alcun accesso.',
    },
    app: {
      title: 'Questa app ha commesso un errore',
      text: (service) =>
        `${service} non può accettare la richiesta con cui l’app ti ha mandato qui. Tu non puoi farci nulla; avvisa chi sviluppa l’app.`,
    },
    provider: {
      title: 'Accesso non riuscito',
      text: (service) => `${service} non è riuscito a completare l’accesso. Riprova più tardi.`,
    },
    busy: {
      title: 'Troppi tentativi',
      text: () => 'Ci sono stati troppi accessi in poco tempo. Aspetta qualche minuto e riprova.',
    },
    unavailable: {
      title: 'Al momento non disponibile',
      text: (service) => `Al momento non è possibile accedere a ${service}. Riprova tra qualche minuto.`,
    },
    internal: {
      title: 'Qualcosa è andato storto',
      text: (service) => `Si è verificato un errore su ${service}. Riprova tra qualche minuto.`,
    },
  },
  backTo: (app) => `Torna a ${app}`,
  developers: 'Per gli sviluppatori',
  requestId: 'ID della richiesta',
  support: 'Aiuto',
}
