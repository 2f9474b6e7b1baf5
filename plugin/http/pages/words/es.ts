import type { Words } from './words.ts'

export const es: Words = {
  lang: 'es',
  unverified: (name) => `${name} (sin verificar)`,
  nameless: 'una aplicación sin nombre',
  continuing: {
    title: (app) => `Continuar a ${app}`,
    question: (app, provider, host) =>
      `Ha iniciado sesión con ${provider} en ${host}. Si no empezó en ${app}, cierre esta página.`,
    button: (app) => `Continuar a ${app}`,
  },
  choice: {
    title: (app) => `Iniciar sesión en ${app}`,
    question: (host) => `¿Cómo quiere iniciar sesión en ${host}?`,
    button: (provider) => `Continuar con ${provider}`,
  },
  consent: {
    title: '¿Permitir el acceso?',
    fromHost: (appHost, host) => `La aplicación de ${appHost} pide acceso a ${host} en su nombre.`,
    fromName: (name, host) =>
      `Una aplicación que dice llamarse ${name} pide acceso a ${host} en su nombre. Nadie ha verificado ese nombre.`,
    fromNameless: (host) => `Una aplicación sin nombre pide acceso a ${host} en su nombre.`,
    permissions: 'Podrá:',
    noPermissions: 'Sabrá que usted ha iniciado sesión, y nada más.',
    answerToHost: (appHost) => `La respuesta se envía a ${appHost}.`,
    answerToThisComputer: (address) =>
      `La respuesta se envía a una aplicación de este equipo (${address}). Cualquier otra aplicación del equipo podría ocupar su lugar.`,
    answerToThisDevice: (scheme) =>
      `La respuesta se envía a la aplicación de este dispositivo que abra ${scheme}. Cualquier otra aplicación del dispositivo podría ocupar su lugar.`,
    question:
      '¿Acaba de iniciar esto usted, en una aplicación en la que confía? Si no es así, rechace la solicitud.',
    allow: 'Permitir',
    deny: 'Rechazar',
  },
  failures: {
    used: {
      title: 'Vuelva a la aplicación',
      text: () =>
        'Este enlace de inicio de sesión es desconocido, ha caducado o ya se ha utilizado. Si no ha iniciado sesión en la aplicación, empiece de nuevo allí.',
    },
    otherBrowser: {
      title: 'Vuelva a la aplicación',
      text: () =>
        'Este inicio de sesión se empezó en otro navegador. Vuelva a la aplicación y empiece de nuevo.',
    },
    denied: {
      title: 'No ha iniciado sesión',
      text: () => 'El inicio de sesión se canceló o no se permitió. La aplicación no tiene acceso.',
    },
    app: {
      title: 'Esta aplicación ha cometido un error',
      text: (service) =>
        `${service} no puede aceptar la solicitud con la que la aplicación le ha enviado aquí. Usted no puede solucionarlo; avise a quienes desarrollan la aplicación.`,
    },
    provider: {
      title: 'No se pudo iniciar sesión',
      text: (service) => `${service} no pudo completar el inicio de sesión. Inténtelo de nuevo más tarde.`,
    },
    busy: {
      title: 'Demasiados intentos',
      text: () =>
        'Ha habido demasiados inicios de sesión en poco tiempo. Espere unos minutos e inténtelo de nuevo.',
    },
    unavailable: {
      title: 'No disponible en este momento',
      text: (service) =>
        `${service} no puede iniciar su sesión en este momento. Inténtelo de nuevo en unos minutos.`,
    },
    internal: {
      title: 'Algo ha salido mal',
      text: (service) => `Se ha producido un error en ${service}. Inténtelo de nuevo en unos minutos.`,
    },
  },
  backTo: (app) => `Volver a ${app}`,
  developers: 'Para desarrolladores',
  requestId: 'Id. de la solicitud',
  support: 'Ayuda',
}
