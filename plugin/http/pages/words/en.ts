import type { Words } from './words.ts'

export const en: Words = {
  lang: 'en',
  unverified: (name) => `${name} (unverified)`,
  nameless: 'an app without a name',
  continuing: {
    title: (app) => `Continue to ${app}`,
    question: (app, provider, host) =>
      `You signed in with ${provider} at ${host}. If you did not start this in ${app}, close this page.`,
    button: (app) => `Continue to ${app}`,
  },
  choice: {
    title: (app) => `Sign in to ${app}`,
    question: (host) => `How do you want to sign in at ${host}?`,
    button: (provider) => `Continue with ${provider}`,
  },
  consent: {
    title: 'Allow access?',
    fromHost: (appHost, host) => `The app at ${appHost} asks for access to ${host} in your name.`,
    fromName: (name, host) =>
      `An app that calls itself ${name} asks for access to ${host} in your name. Nobody has verified that name.`,
    fromNameless: (host) => `An app without a name asks for access to ${host} in your name.`,
    permissions: 'It will be able to:',
    noPermissions: 'It will learn that you have signed in, and nothing else.',
    answerToHost: (appHost) => `The answer goes to ${appHost}.`,
    answerToThisComputer: (address) =>
      `The answer goes to an app on this computer (${address}). Any other app there could take its place.`,
    answerToThisDevice: (scheme) =>
      `The answer goes to whichever app on this device opens ${scheme}. Any other app there could take its place.`,
    question: 'Did you start this yourself just now, in an app that you trust? If not, deny it.',
    allow: 'Allow',
    deny: 'Deny',
  },
  failures: {
    used: {
      title: 'Return to the app',
      text: () =>
        'This sign-in link is unknown, expired or already used. If the app is not signed in, start again there.',
    },
    otherBrowser: {
      title: 'Return to the app',
      text: () => 'This sign-in was started in another browser. Return to the app and start again.',
    },
    denied: {
      title: 'You are not signed in',
      text: () => 'The sign-in was cancelled or not allowed. The app has no access.',
    },
    app: {
      title: 'This app made a mistake',
      text: (service) =>
        `${service} cannot accept the way in which the app sent you here. You can do nothing about it yourself; please tell the people who make the app.`,
    },
    provider: {
      title: 'The sign-in failed',
      text: (service) => `${service} could not complete the sign-in. Please try again later.`,
    },
    busy: {
      title: 'Too many attempts',
      text: () => 'There were too many sign-ins in a short time. Please wait a few minutes and try again.',
    },
    unavailable: {
      title: 'Not available right now',
      text: (service) => `${service} cannot sign you in at the moment. Please try again in a few minutes.`,
    },
    internal: {
      title: 'Something went wrong',
      text: (service) => `There was an error at ${service}. Please try again in a few minutes.`,
    },
  },
  backTo: (app) => `Return to ${app}`,
  developers: 'For developers',
  requestId: 'Request ID',
  support: 'Help',
}
