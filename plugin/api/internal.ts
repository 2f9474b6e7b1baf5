/**
 * What the gateway shares with the plugin, and the package does not export: one owner for each fact, without a word in
 * the public interface.
 */
export { isBindingCookie } from '../endpoints/authorize/browser-binding.ts'
export { correlationId } from '../grant/audit.ts'
export { warnOfUntrustedProxy } from '../http/address.ts'
export { loggedPath } from '../http/log.ts'
export { isPublicAddress } from '../options/addresses.ts'
export { freezeData } from '../options/resolve.ts'
export { type StoreDescription, storeProblem } from '../options/rules.ts'
export { validateOptions } from '../options/validate.ts'
export { type ResponseReceiver, UndiciHandler } from '../provider/transport/undici-handler.ts'
export { randomHex } from '../secrets/random.ts'
export { servicesOf } from './decorate.ts'
