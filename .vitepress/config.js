/**
 * The site of the documentation: these very files, with search. `npm run docs:site` builds it into build/site, without
 * the network. It is a tool of the repository: nothing of it is packed.
 *
 * Links are written as GitHub reads them (`docs/README.md`, `../CHANGELOG.md`), and are changed here where a site has
 * other names. Whatever leads nowhere fails the build.
 */
import { defineConfig } from 'vitepress'

const section = (text, pages) => ({
  text,
  items: Object.entries(pages).map(([name, title]) => ({ text: title, link: `/docs/${name}` })),
})

const PAGE = /^https:\/\/github\.com\/fastify-pkce\/fastify-pkce\/blob\/main\/(.*\.md(?:#.*)?)$/
const RAW = 'https://github.com/fastify-pkce/fastify-pkce/raw/main/'

/** As GitHub makes the anchor of a heading, so that one link is right in both. */
const slugify = (heading) =>
  heading
    .trim()
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
    .replaceAll(' ', '-')

export default defineConfig({
  title: 'fastify-pkce',
  description: 'PKCE login for native apps on Fastify: a plugin and a gateway.',
  base: process.env.DOCS_BASE ?? '/',
  srcExclude: [
    '**/node_modules/**',
    ...['benchmarks', 'build', 'deploy', 'test', '.cache'].map((name) => `${name}/**`),
  ],
  outDir: 'build/site',
  cacheDir: '.cache/vitepress',
  cleanUrls: false,
  metaChunk: true,
  rewrites: (page) => page.replace(/README\.md$/, 'index.md'),
  markdown: {
    languageAlias: { caddyfile: 'nginx' },
    anchor: { slugify },
    config(markdown) {
      markdown.core.ruler.push('readme-is-index', ({ tokens }) => {
        // The picture of the demo is not packed, so the README names it by its address.
        for (const token of tokens) token.content = token.content.replaceAll(RAW, './')
        for (const token of tokens.flatMap(({ children }) => children ?? [])) {
          // What is not packed is named by its address, and may be a page here.
          const href = token.attrGet('href')?.replace(PAGE, '/$1')
          if (href && !/^[a-z]+:/.test(href))
            token.attrSet('href', href.replace(/README\.md(?=#|$)/, 'index.md'))
        }
      })
    },
  },
  themeConfig: {
    search: {
      provider: 'local',
      options: {
        // These have every word, and would stand before the page that explains it.
        _render: (text, env, markdown) =>
          /^docs\/(?:requirements\.md|benchmarks[./])/.test(env.relativePath)
            ? ''
            : markdown.render(text, env),
        miniSearch: { searchOptions: { combineWith: 'AND', fuzzy: 0.1 } },
      },
    },
    outline: [2, 3],
    nav: [
      { text: 'Documentation', link: '/docs/' },
      { text: 'Changes', link: '/CHANGELOG' },
      { text: 'Repository', link: 'https://github.com/fastify-pkce/fastify-pkce' },
    ],
    sidebar: [
      section('Begin', {
        '': 'All pages',
        'how-it-works': 'How it works',
        comparison: 'Comparison',
        migration: 'Migration',
        faq: 'FAQ',
      }),
      section('Build', {
        plugin: 'Plugin',
        gateway: 'Gateway',
        testing: 'Testing',
        apps: 'Apps',
        'providers/': 'Providers',
        'app-links': 'App links',
        agents: 'Agents',
        dpop: 'DPoP',
        pages: 'Pages',
        sessions: 'Sessions',
        routing: 'Routing',
        'identity-jwt': 'Identity JWT',
        'forward-auth': 'Forward-auth',
      }),
      section('Run', {
        deploy: 'Deploy',
        operate: 'Operate',
        stores: 'Stores',
        logging: 'Logging',
        events: 'Events',
        metrics: 'Metrics',
        errors: 'Errors',
      }),
      section('Look up', { options: 'Options', api: 'API', benchmarks: 'Benchmarks' }),
    ],
  },
})
