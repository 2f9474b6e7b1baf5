import type { Words } from './words.ts'

export const fr: Words = {
  lang: 'fr',
  unverified: (name) => `${name} (non vérifié)`,
  nameless: 'une application sans nom',
  continuing: {
    title: (app) => `Continuer vers ${app}`,
    question: (app, provider, host) =>
      `Vous vous êtes connecté avec ${provider} sur ${host}. Si vous n’avez pas commencé dans ${app}, fermez cette page.`,
    button: (app) => `Continuer vers ${app}`,
  },
  choice: {
    title: (app) => `Se connecter à ${app}`,
    question: (host) => `Comment voulez-vous vous connecter sur ${host} ?`,
    button: (provider) => `Continuer avec ${provider}`,
  },
  consent: {
    title: 'Autoriser l’accès ?',
    fromHost: (appHost, host) => `L’application de ${appHost} demande l’accès à ${host} en votre nom.`,
    fromName: (name, host) =>
      `Une application qui se présente comme ${name} demande l’accès à ${host} en votre nom. Personne n’a vérifié ce nom.`,
    fromNameless: (host) => `Une application sans nom demande l’accès à ${host} en votre nom.`,
    permissions: 'Elle pourra :',
    noPermissions: 'Elle saura que vous vous êtes connecté, et rien d’autre.',
    answerToHost: (appHost) => `La réponse est envoyée à ${appHost}.`,
    answerToThisComputer: (address) =>
      `La réponse est envoyée à une application sur cet ordinateur (${address}). Toute autre application de cet ordinateur pourrait prendre sa place.`,
    answerToThisDevice: (scheme) =>
      `La réponse est envoyée à l’application de cet appareil qui ouvre ${scheme}. Toute autre application de cet appareil pourrait prendre sa place.`,
    question:
      'Avez-vous lancé cette demande vous-même, à l’instant, dans une application de confiance ? Sinon, refusez.',
    allow: 'Autoriser',
    deny: 'Refuser',
  },
  failures: {
    used: {
      title: 'Retournez à l’application',
      text: () =>
        'Ce lien de connexion est inconnu, expiré ou déjà utilisé. Si vous n’êtes pas connecté dans l’application, recommencez depuis celle-ci.',
    },
    otherBrowser: {
      title: 'Retournez à l’application',
      text: () =>
        'Cette connexion a été commencée dans un autre navigateur. Retournez à l’application et recommencez.',
    },
    denied: {
      title: 'Vous n’êtes pas connecté',
      text: () => 'La connexion a été annulée ou n’a pas été autorisée. L’application n’a aucun accès.',
    },
    app: {
      title: 'Cette application a fait une erreur',
      text: (service) =>
        `${service} ne peut pas accepter la demande avec laquelle l’application vous a envoyé ici. Vous ne pouvez rien y faire vous-même ; merci de prévenir les développeurs de l’application.`,
    },
    provider: {
      title: 'La connexion a échoué',
      text: (service) => `${service} n’a pas pu terminer la connexion. Veuillez réessayer plus tard.`,
    },
    busy: {
      title: 'Trop de tentatives',
      text: () => 'Il y a eu trop de connexions en peu de temps. Attendez quelques minutes, puis réessayez.',
    },
    unavailable: {
      title: 'Indisponible pour le moment',
      text: (service) =>
        `${service} ne peut pas vous connecter pour le moment. Veuillez réessayer dans quelques minutes.`,
    },
    internal: {
      title: 'Un problème est survenu',
      text: (service) =>
        `Une erreur s’est produite sur ${service}. Veuillez réessayer dans quelques minutes.`,
    },
  },
  backTo: (app) => `Retourner à ${app}`,
  developers: 'Pour les développeurs',
  requestId: 'Identifiant de la requête',
  support: 'Aide',
}
