import type { Words } from './words.ts'

/** Simplified. */
export const zh: Words = {
  lang: 'zh-Hans',
  unverified: (name) => `${name}（未经验证）`,
  nameless: '一个没有名称的应用',
  continuing: {
    title: (app) => `继续前往 ${app}`,
    question: (app, provider, host) =>
      `您已通过 ${provider} 登录 ${host}。如果您没有在 ${app} 中发起此次登录，请关闭此页面。`,
    button: (app) => `继续前往 ${app}`,
  },
  choice: {
    title: (app) => `登录 ${app}`,
    question: (host) => `您想用哪种方式登录 ${host}？`,
    button: (provider) => `使用 ${provider} 继续`,
  },
  consent: {
    title: '是否允许访问？',
    fromHost: (appHost, host) => `来自 ${appHost} 的应用请求以您的名义访问 ${host}。`,
    fromName: (name, host) => `自称 ${name} 的应用请求以您的名义访问 ${host}。该名称未经任何人验证。`,
    fromNameless: (host) => `一个没有名称的应用请求以您的名义访问 ${host}。`,
    permissions: '该应用将可以：',
    noPermissions: '该应用只会知道您已登录，不会获得其他信息。',
    answerToHost: (appHost) => `结果将发送到 ${appHost}。`,
    answerToThisComputer: (address) =>
      `结果将发送给这台电脑上的一个应用（${address}）。这台电脑上的其他应用也可能冒充它。`,
    answerToThisDevice: (scheme) =>
      `结果将发送给此设备上能打开 ${scheme} 的应用。此设备上的其他应用也可能冒充它。`,
    question: '这是您刚刚在自己信任的应用中亲自发起的吗？如果不是，请拒绝。',
    allow: '允许',
    deny: '拒绝',
  },
  failures: {
    used: {
      title: '请返回应用',
      text: () => '此登录链接无效、已过期或已被使用。如果应用中尚未登录，请在应用中重新开始。',
    },
    otherBrowser: {
      title: '请返回应用',
      text: () => '此次登录是在另一个浏览器中发起的。请返回应用并重新开始。',
    },
    denied: {
      title: '您尚未登录',
      text: () => '登录已取消或未获允许。该应用没有获得访问权限。',
    },
    app: {
      title: '此应用出现错误',
      text: (service) =>
        `${service} 无法接受该应用将您转到此处时发出的请求。您自己无法解决此问题，请告知该应用的开发者。`,
    },
    provider: {
      title: '登录失败',
      text: (service) => `${service} 未能完成登录。请稍后再试。`,
    },
    busy: {
      title: '尝试次数过多',
      text: () => '短时间内登录次数过多。请等待几分钟后再试。',
    },
    unavailable: {
      title: '暂时无法使用',
      text: (service) => `${service} 目前无法为您登录。请几分钟后再试。`,
    },
    internal: {
      title: '出了点问题',
      text: (service) => `${service} 发生错误。请几分钟后再试。`,
    },
  },
  backTo: (app) => `返回 ${app}`,
  developers: '开发者信息',
  requestId: '请求 ID',
  support: '帮助',
}
