import type { Failure } from '../failures.ts'

/**
 * All that the pages say, in one language: a sentence that is missing does not compile.
 *
 * Every argument is the name of somebody: it comes marked off (`isolated`), and a sentence puts no quotation marks around
 * it. `host` is ours, where the person is; `provider` is where the person signs in.
 */
export interface Words {
  /** For `<html lang>` (BCP 47). */
  readonly lang: string
  /** The name that an app gives itself, with a word that nobody has verified it. */
  unverified(name: string): string
  /** Stands for the name of an app that has none. */
  readonly nameless: string

  /** The person has signed in, and must open the app. */
  readonly continuing: {
    title(app: string): string
    question(app: string, provider: string, host: string): string
    button(app: string): string
  }
  /** There are several providers. */
  readonly choice: {
    title(app: string): string
    question(host: string): string
    button(provider: string): string
  }
  /** An app that nobody registered asks for access. */
  readonly consent: {
    readonly title: string
    /** @param appHost where the app describes itself: that is proved. */
    fromHost(appHost: string, host: string): string
    /** @param name what the app calls itself. */
    fromName(name: string, host: string): string
    fromNameless(host: string): string
    /** A list of permissions follows. */
    readonly permissions: string
    readonly noPermissions: string
    answerToHost(appHost: string): string
    answerToThisComputer(address: string): string
    answerToThisDevice(scheme: string): string
    readonly question: string
    readonly allow: string
    readonly deny: string
  }
  /** What went wrong. @param service who could not do it: the provider, or else our host. */
  readonly failures: Readonly<Record<Failure, { readonly title: string; text(service: string): string }>>
  /** The button of a failure that the app is to hear of. */
  backTo(app: string): string
  /** What follows is for those who make the app, in English. */
  readonly developers: string
  readonly requestId: string
  /** The link to `pages.supportUrl`. */
  readonly support: string
}
