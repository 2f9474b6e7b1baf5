/** Prints the packages that the gateway uses when they are there, in the versions that the tests have run with. */
import { readFileSync } from 'node:fs'

const { peerDependencies, devDependencies } = JSON.parse(readFileSync('package.json', 'utf8'))
/** Of those who write programs: the types of the schemas, and a logger's or tracer's own. */
const programs = ['typebox']
const names = Object.keys(peerDependencies).filter((name) => !programs.includes(name))
process.stdout.write(`${names.map((name) => `${name}@${devDependencies[name]}`).join(' ')}\n`)
