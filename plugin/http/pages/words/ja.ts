import type { Words } from './words.ts'

export const ja: Words = {
  lang: 'ja',
  unverified: (name) => `${name}（未確認）`,
  nameless: '名前のないアプリ',
  continuing: {
    title: (app) => `${app} に進む`,
    question: (app, provider, host) =>
      `${host} に ${provider} でログインしました。${app} から始めた覚えがない場合は、このページを閉じてください。`,
    button: (app) => `${app} に進む`,
  },
  choice: {
    title: (app) => `${app} にログイン`,
    question: (host) => `${host} へのログイン方法を選んでください。`,
    button: (provider) => `${provider} で続ける`,
  },
  consent: {
    title: 'アクセスを許可しますか？',
    fromHost: (appHost, host) =>
      `${appHost} のアプリが、あなたに代わって ${host} にアクセスすることを求めています。`,
    fromName: (name, host) =>
      `${name} と名乗るアプリが、あなたに代わって ${host} にアクセスすることを求めています。この名前は確認されていません。`,
    fromNameless: (host) => `名前のないアプリが、あなたに代わって ${host} にアクセスすることを求めています。`,
    permissions: '許可すると、アプリは次のことができます。',
    noPermissions: '許可すると、あなたがログインしたことだけがアプリに伝わります。',
    answerToHost: (appHost) => `結果は ${appHost} に送られます。`,
    answerToThisComputer: (address) =>
      `結果はこのコンピューターのアプリ（${address}）に送られます。同じコンピューターの別のアプリが受け取る可能性もあります。`,
    answerToThisDevice: (scheme) =>
      `結果はこの端末で ${scheme} を開くアプリに送られます。同じ端末の別のアプリが受け取る可能性もあります。`,
    question:
      'たった今、信頼できるアプリでご自身が始めた操作ですか？覚えがない場合は「拒否」を選んでください。',
    allow: '許可',
    deny: '拒否',
  },
  failures: {
    used: {
      title: 'アプリに戻ってください',
      text: () =>
        'このログイン用リンクは無効か、期限切れか、すでに使われています。アプリでログインできていない場合は、アプリからやり直してください。',
    },
    otherBrowser: {
      title: 'アプリに戻ってください',
      text: () => 'このログインは別のブラウザーで始められました。アプリに戻ってやり直してください。',
    },
    denied: {
      title: 'ログインしていません',
      text: () =>
        'ログインはキャンセルされたか、許可されませんでした。アプリにはアクセス権が渡されていません。',
    },
    app: {
      title: 'アプリに問題があります',
      text: (service) =>
        `アプリから送られたリクエストを ${service} は受け付けられません。お客様の側では解決できないため、アプリの開発元にお知らせください。`,
    },
    provider: {
      title: 'ログインできませんでした',
      text: (service) =>
        `${service} がログインを完了できませんでした。しばらくしてからもう一度お試しください。`,
    },
    busy: {
      title: '試行回数が多すぎます',
      text: () => '短時間にログインが集中しました。数分待ってからもう一度お試しください。',
    },
    unavailable: {
      title: '現在ご利用いただけません',
      text: (service) => `現在 ${service} にログインできません。数分後にもう一度お試しください。`,
    },
    internal: {
      title: '問題が発生しました',
      text: (service) => `${service} でエラーが発生しました。数分後にもう一度お試しください。`,
    },
  },
  backTo: (app) => `${app} に戻る`,
  developers: '開発者向け情報',
  requestId: 'リクエスト ID',
  support: 'ヘルプ',
}
