/**
 * What a user's machine should not have to find in hundreds of files. Part of packing; in the project itself everything
 * is used as it is.
 *
 * - typebox, as one piece in `build/vendor`: it loads in a tenth of the time, and takes a fifteenth of the disk.
 * - The command and the worker that it forks, each in a few pieces: of the CPU time of a start, finding and linking some
 *   three hundred small modules was a quarter. Programs that import the gateway have the modules; those of the command
 *   alone are not packed (`files` in package.json).
 *
 *     node --import=ts-blank-space/register test/support/vendor.ts
 */
import { copyFileSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { basename, dirname, join, relative } from 'node:path'
import { build } from 'esbuild'

const VENDOR = 'build/vendor/typebox'
const PACKAGE = 'node_modules/typebox'
/** `typebox`, or `typebox/value` with its part. */
const IMPORT = /\bfrom '(typebox(?:\/([a-z]+))?)'/g

const files = ['build/plugin', 'build/gateway'].flatMap(scriptsOf).map((file) => ({
  file,
  code: readFileSync(file, 'utf8'),
}))
const importing = files.filter(({ code }) => code.match(IMPORT))
const imports = new Map(
  importing.flatMap(({ code }) =>
    [...code.matchAll(IMPORT)].map(([, name, part]) => [part ?? 'index', name!]),
  ),
)
const { version } = JSON.parse(readFileSync(join(PACKAGE, 'package.json'), 'utf8')) as { version: string }
await build({
  entryPoints: Object.fromEntries(imports),
  outdir: VENDOR,
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node20.19',
  banner: { js: `/* typebox ${version}, MIT licence, see ./license */` },
  logLevel: 'warning',
})
copyFileSync(join(PACKAGE, 'license'), join(VENDOR, 'license'))
for (const { file, code } of importing) {
  const folder = relative(dirname(file), VENDOR)
  writeFileSync(
    file,
    code.replace(IMPORT, (_whole, _name, part = 'index') => `from '${folder}/${part}.js'`),
  )
}

await build({
  entryPoints: ['build/gateway/main.js', 'build/gateway/workers/main.js'],
  outbase: 'build',
  outdir: 'build',
  // Beside the worker's entry: who forks it looks for it beside itself.
  chunkNames: 'gateway/workers/[name]-[hash]',
  allowOverwrite: true,
  packages: 'external',
  plugins: [
    {
      name: 'typebox is there already',
      setup: ({ onResolve }) =>
        onResolve({ filter: /\/vendor\/typebox\// }, ({ path }) => ({
          path: `../../vendor/typebox/${basename(path)}`,
          external: true,
        })),
    },
  ],
  // Names stay, for whoever reads a stack.
  minifyWhitespace: true,
  minifySyntax: true,
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node20.19',
  logLevel: 'warning',
})

function scriptsOf(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.js'))
    .map((name) => join(folder, name))
}
