/** Spellings of paths by which proxies and servers have been led past a policy, and routes for them. */
import type { UpstreamFields } from '../../gateway/config/schemas/fields.ts'

/** Upstreams with a scope each, and one that is public. */
export const tricked = (): Pick<
  UpstreamFields,
  'prefix' | 'scopes' | 'methods' | 'public' | 'credentials'
>[] => [
  { prefix: '/api', scopes: ['orders.read'], methods: ['GET', 'HEAD', 'POST'] },
  { prefix: '/api/admin', scopes: ['admin'], methods: ['GET', 'HEAD'] },
  { prefix: '/open', public: true, credentials: 'none', methods: ['GET', 'HEAD'] },
]

export const PATHS = [
  '/api',
  '/api/',
  '/api/orders',
  '/api/orders?page=2',
  '/api/orders?access_token=x',
  '/api/orders?%61ccess_token=x',
  '/api/admin',
  '/api/admin/users',
  '/api/adminx',
  '/api//admin/users',
  '//api/orders',
  '//evil.example/api/orders',
  '/api/../open',
  '/open/../api/admin/users',
  '/open/..',
  '/open/%2e%2e/api/admin/users',
  '/open/.%2E/api/admin/users',
  '/open/..;/api/admin/users',
  '/open;x/../api/admin',
  '/api;v=1/orders',
  '/api/orders;v=1',
  '/api/%61dmin/users',
  '/api%2fadmin/users',
  '/api%2Fadmin',
  '/api/%252e%252e/admin',
  '/api/orders%00',
  '/api/orders%0d%0aX-User:%20root',
  '/api/%c0%ae%c0%ae/admin',
  '/api/items[0]',
  '/api/discount-50%25.pdf',
  '/api/100%',
  '/API/orders',
  '/apis',
  '/open/status',
  '/open/status?x=/api/admin',
  '/open?/../api/admin',
  '/oauth2/token',
  '/oauth2/verify',
  '/oauth2/verify/api/orders',
  '/.well-known/oauth-authorization-server',
  '/nothing',
  '/',
]
