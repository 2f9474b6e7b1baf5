/**
 * So many prefixes of services that stand beside one another, half of them below `/api`; the one that is asked, `/api`,
 * stands in the middle.
 */
export function manyPrefixes(count: number): string[] {
  const others = Array.from({ length: count - 1 }, (_, i) =>
    i % 2 === 0 ? `/api/service-${i}` : `/service-${i}/v1`,
  )
  return others.toSpliced(others.length >> 1, 0, '/api')
}
