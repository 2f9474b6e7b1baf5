import type { Words } from './words.ts'

export const pt: Words = {
  lang: 'pt',
  unverified: (name) => `${name} (não verificado)`,
  nameless: 'um aplicativo sem nome',
  continuing: {
    title: (app) => `Continuar para ${app}`,
    question: (app, provider, host) =>
      `Você entrou com ${provider} em ${host}. Se não começou em ${app}, feche esta página.`,
    button: (app) => `Continuar para ${app}`,
  },
  choice: {
    title: (app) => `Entrar em ${app}`,
    question: (host) => `Como você quer entrar em ${host}?`,
    button: (provider) => `Continuar com ${provider}`,
  },
  consent: {
    title: 'Permitir o acesso?',
    fromHost: (appHost, host) => `O aplicativo de ${appHost} pede acesso a ${host} em seu nome.`,
    fromName: (name, host) =>
      `Um aplicativo que se apresenta como ${name} pede acesso a ${host} em seu nome. Ninguém verificou esse nome.`,
    fromNameless: (host) => `Um aplicativo sem nome pede acesso a ${host} em seu nome.`,
    permissions: 'Ele poderá:',
    noPermissions: 'Ele saberá que você entrou, e nada mais.',
    answerToHost: (appHost) => `A resposta vai para ${appHost}.`,
    answerToThisComputer: (address) =>
      `A resposta vai para um aplicativo neste computador (${address}). Qualquer outro aplicativo nele poderia tomar o seu lugar.`,
    answerToThisDevice: (scheme) =>
      `A resposta vai para o aplicativo deste dispositivo que abrir ${scheme}. Qualquer outro aplicativo nele poderia tomar o seu lugar.`,
    question: 'Foi você quem começou isto agora, em um aplicativo em que confia? Se não, recuse.',
    allow: 'Permitir',
    deny: 'Recusar',
  },
  failures: {
    used: {
      title: 'Volte ao aplicativo',
      text: () =>
        'Este link de acesso é desconhecido, expirou ou já foi usado. Se você não entrou no aplicativo, comece de novo por lá.',
    },
    otherBrowser: {
      title: 'Volte ao aplicativo',
      text: () => 'Este acesso foi iniciado em outro navegador. Volte ao aplicativo e comece de novo.',
    },
    denied: {
      title: 'Você não entrou',
      text: () => 'O acesso foi cancelado ou não foi permitido. O aplicativo não tem acesso.',
    },
    app: {
      title: 'Este aplicativo cometeu um erro',
      text: (service) =>
        `${service} não pode aceitar o pedido com que o aplicativo enviou você até aqui. Você não pode resolver isso; avise quem desenvolve o aplicativo.`,
    },
    provider: {
      title: 'Não foi possível entrar',
      text: (service) => `${service} não conseguiu concluir o acesso. Tente de novo mais tarde.`,
    },
    busy: {
      title: 'Tentativas demais',
      text: () => 'Houve acessos demais em pouco tempo. Espere alguns minutos e tente de novo.',
    },
    unavailable: {
      title: 'Indisponível no momento',
      text: (service) => `Não é possível entrar em ${service} no momento. Tente de novo em alguns minutos.`,
    },
    internal: {
      title: 'Algo deu errado',
      text: (service) => `Ocorreu um erro em ${service}. Tente de novo em alguns minutos.`,
    },
  },
  backTo: (app) => `Voltar para ${app}`,
  developers: 'Para desenvolvedores',
  requestId: 'ID da solicitação',
  support: 'Ajuda',
}
