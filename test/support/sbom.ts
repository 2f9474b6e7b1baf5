/**
 * Prints the CycloneDX bill of what the package consists of: its dependencies, theirs, and what is packed into it.
 * `npm sbom --omit=dev` alone leaves out what a development tool needs as well, and knows nothing of the latter.
 *
 *     npm run -s sbom
 */
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'

interface Bill {
  components: { 'bom-ref': string; name: string; properties?: object[] }[]
  dependencies: { ref: string; dependsOn: string[] }[]
  metadata: { component: { 'bom-ref': string } }
}

/** In `build/vendor`. */
const PACKED = ['typebox']

const { dependencies } = JSON.parse(readFileSync('package.json', 'utf8')) as {
  dependencies: Record<string, string>
}
const format = ['--sbom-format=cyclonedx', '--sbom-type=library']
const bill = JSON.parse(
  execFileSync('npm', ['sbom', '--package-lock-only', ...format], { encoding: 'utf8', maxBuffer: 1e8 }),
) as Bill
const project = bill.metadata.component['bom-ref']
const dependsOn = new Map(bill.dependencies.map((one) => [one.ref, one.dependsOn]))
const nameOf = new Map(bill.components.map((one) => [one['bom-ref'], one.name]))
const own = (dependsOn.get(project) ?? []).filter((ref) =>
  [...Object.keys(dependencies), ...PACKED].includes(nameOf.get(ref)!),
)
const shipped = new Set<string>()
for (let found = own; found.length > 0; ) {
  for (const ref of found) shipped.add(ref)
  found = found.flatMap((ref) => dependsOn.get(ref) ?? []).filter((ref) => !shipped.has(ref))
}
const ours = {
  ...bill,
  components: bill.components
    .filter((one) => shipped.has(one['bom-ref']))
    // "Needed for development" would be said of what development needs as well.
    .map((one) => ({ ...one, properties: [] })),
  dependencies: bill.dependencies
    .filter(({ ref }) => ref === project || shipped.has(ref))
    .map((one) => (one.ref === project ? { ...one, dependsOn: own } : one)),
}
console.log(JSON.stringify(ours, undefined, 2))
