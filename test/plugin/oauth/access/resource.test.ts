import t from 'tap'
import {
  commonResources,
  isResource,
  narrowResources,
  requestedResources,
} from '../../../../plugin/oauth/access/resource.ts'

const publicUrl = 'https://api.example.com'
const MCP = `${publicUrl}/mcp`
const ORDERS = `${publicUrl}/orders`
const known = { publicUrl, resources: [MCP, ORDERS] }
/** What an act throws. */
const refusalOf = (act: () => unknown) => {
  try {
    return act()
  } catch (error) {
    return error
  }
}
const form = (...resources: string[]) =>
  new URLSearchParams(resources.map((one): [string, string] => ['resource', one])).toString()

t.test('what a request names, each once, as it is spelled here (RFC 8707 §2, N-02)', async (t) => {
  t.equal(requestedResources('scope=a', known), undefined, 'nothing named: all')
  t.equal(
    requestedResources('resource=', known),
    undefined,
    'an empty value counts as omitted (RFC 6749 §3.1)',
  )
  t.same(requestedResources(form(MCP), known), [MCP])
  t.same(requestedResources(form(ORDERS, MCP, ORDERS), known), [ORDERS, MCP])
  t.same(requestedResources(`%72esource=${encodeURIComponent(MCP)}`, known), [MCP], 'the name escaped')
  t.same(requestedResources(form(`${MCP}/`), known), [MCP], 'a slash at the end')
  t.same(requestedResources(form('HTTPS://API.example.com:443/mcp'), known), [MCP])
  for (const whole of [publicUrl, `${publicUrl}/`]) {
    t.equal(requestedResources(form(MCP, whole), known), undefined, `${whole} names all of them`)
  }
  t.equal(
    requestedResources(form('urn:x', 'no address'), { publicUrl, resources: [] }),
    undefined,
    'not in use here',
  )
})

t.test('a resource that is not known is refused, beside others, too (RFC 8707 §2, N-02)', async (t) => {
  for (const one of [
    'https://other.example.com/mcp',
    `${publicUrl}/mcp/tools`,
    `${publicUrl}/mc`,
    `${publicUrl}/MCP`,
    `${publicUrl}/x/../mcp#`,
    `${MCP}#fragment`,
    `${MCP}?query`,
    `${MCP}//`,
    'https://user@api.example.com/mcp',
    'https:\\\\api.example.com\\mcp',
    'http://api.example.com/mcp',
    '/mcp',
    'mcp',
    'urn:mcp',
    'javascript:alert(1)',
  ]) {
    t.match(
      refusalOf(() => requestedResources(form(MCP, one), known)),
      { reason: 'resource_unknown', error: 'invalid_target' },
      one,
    )
  }
  t.match(
    refusalOf(() => requestedResources('resource=%ff', known)),
    { reason: 'form_malformed' },
  )
  t.match(
    refusalOf(() => requestedResources('a=1&'.repeat(33), known)),
    { reason: 'parameters_too_many' },
  )
})

t.test('a token is for what is asked for, within what was granted (RFC 8707 §2.2, N-02)', async (t) => {
  t.equal(narrowResources(undefined, undefined), undefined)
  t.same(narrowResources([MCP], undefined), [MCP])
  t.same(narrowResources(undefined, [MCP, ORDERS]), [MCP, ORDERS])
  t.same(narrowResources([MCP], [MCP, ORDERS]), [MCP])
  t.match(
    refusalOf(() => narrowResources([MCP, ORDERS], [MCP])),
    { reason: 'resource_not_granted', error: 'invalid_target' },
  )
})

t.test('logins that share a token have what all of them have (H-04, N-02)', async (t) => {
  t.equal(commonResources([undefined]), undefined)
  t.same(commonResources([undefined, [MCP]]), [MCP])
  t.same(commonResources([[MCP, ORDERS], undefined, [ORDERS]]), [ORDERS])
  t.same(commonResources([[MCP], [ORDERS], undefined]), [], 'nothing, which is not the same as everything')
})

t.test('what can be configured as a resource', async (t) => {
  for (const one of [MCP, publicUrl, 'http://127.0.0.1:3000/api']) t.ok(isResource(one), one)
  for (const one of ['', '/mcp', 'urn:a', `${MCP}#a`, 'https://a@b.example', 'https://', 'https://a b/']) {
    t.notOk(isResource(one), one)
  }
})
