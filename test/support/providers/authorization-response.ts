/**
 * A browser at a stub's authorization endpoint. @returns the authorization response, which comes by a redirect or in a
 * form that is to be posted, and is not delivered yet.
 */
export async function authorizationResponse(url: URL | string): Promise<URLSearchParams> {
  const response = await fetch(url, { redirect: 'manual' })
  const page = await response.text()
  const location = response.headers.get('location')
  if (location !== null) return new URL(location).searchParams
  const fields = [...page.matchAll(/name="([^"]*)" value="([^"]*)"/g)]
  if (fields.length === 0) throw new Error(`${response.status} ${page}`)
  return new URLSearchParams(
    fields.map(([, name = '', value = '']): [string, string] => [name, value.replaceAll('&quot;', '"')]),
  )
}
