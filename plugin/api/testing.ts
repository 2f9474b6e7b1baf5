/** For a team's own tests: sessions without a login, and whole logins at a provider of their own. Never in production. */
export { type TestLogin, TestLoginError, type TestLoginOptions, testLogin } from './test-login.ts'
export { type TestFailure, type TestProvider, testProvider } from './test-provider.ts'
export {
  createTestGrantIssuer,
  type IssuedTestGrant,
  type TestGrantIssuer,
  type TestSession,
  type TestSessionOptions,
  testSession,
} from './test-session.ts'
