import type { Secure } from '../load/plan.ts'
import type { Command } from '../measure/process.ts'
import { findExecutable, program } from '../plan/project.ts'
import type { Keys } from '../servers/keys.ts'

/** Where a server runs, and what it may use. Everything is on 127.0.0.1. */
export interface Place {
  readonly port: number
  /** For a second process or listener of the server. */
  readonly helperPort: number
  /** Port of the upstream; of the provider. */
  readonly upstream: number
  readonly provider: number
  /** For a Redis of its own: @see Peer.needsRedis */
  readonly redis: number
  /** A folder of its own, empty. */
  readonly folder: string
  readonly node: string
  /** e.g. `--trace-gc`. */
  readonly nodeFlags: readonly string[]
  readonly keys: Keys
}

/** A server that is measured. */
export interface Peer {
  readonly name: string
  /** What it is, in a line of a table. */
  readonly title: string
  /** False: it lets everything through. */
  readonly authenticates: boolean
  /** It runs on Node, so that its allocation can be measured. */
  readonly isNode: boolean
  /** What it speaks over TLS, with the certificate of the run; undefined: plain HTTP/1.1. */
  readonly secure?: Secure['protocol']
  /** What it writes once it is ready, later than its port is open. */
  readonly readyText?: string
  /** It needs the packages of `benchmarks/package.json`. */
  readonly needsPackages?: boolean
  /** It keeps its sessions in a Redis, which is started before it, empty, on the load's core: not counted. */
  readonly needsRedis?: boolean
  /** Why this machine cannot run it, or undefined. */
  missing?(): string | undefined
  /** What to start, all on the server's core; the last one listens at `port`. May write files to the folder. */
  commands(place: Place): readonly Command[]
  /** The value of `Authorization` that it lets through. Called once it listens. */
  authorization(place: Place): string | Promise<string>
  /** Bearer tokens that it must refuse, beside a missing and a spoilt one, by what is wrong with them. */
  refuses?(place: Place): Readonly<Record<string, string>>
}

/** A bearer token of the length of ours, for servers that do not look at it: every server gets the same request. */
export const ANY_TOKEN = `pka_${'0'.repeat(64)}`

/** What the servers that look at no token have in common. */
export const letsEverybodyThrough = {
  authenticates: false,
  authorization: () => `Bearer ${ANY_TOKEN}`,
}

type NodePeer = Pick<Peer, 'name' | 'title'> &
  Partial<Pick<Peer, 'authorization' | 'authenticates' | 'refuses' | 'needsPackages' | 'secure'>> & {
    /** The compiled program, relative to `benchmarks/`. */
    script: string
    /** What it gets besides its port and its upstream. */
    argument?: (place: Place) => object
    environment?: Readonly<Record<string, string>>
  }

/** A peer that is a program of ours. */
export function nodePeer({ script, argument, environment, ...peer }: NodePeer): Peer {
  return {
    ...letsEverybodyThrough,
    ...peer,
    isNode: true,
    commands: (place) => [
      nodeCommand(
        place,
        script,
        { port: place.port, upstream: place.upstream, ...argument?.(place) },
        environment,
      ),
    ],
  }
}

/** Runs a compiled program of ours, with a JSON object as its argument. */
export function nodeCommand(
  { node, nodeFlags }: Pick<Place, 'node' | 'nodeFlags'>,
  script: string,
  argument: object,
  environment: Readonly<Record<string, string>> = {},
): Command {
  return { file: node, args: [...nodeFlags, program(script), JSON.stringify(argument)], environment }
}

/** How a client speaks with it. */
export function secureOf({ secure }: Peer, { keys }: Pick<Place, 'keys'>): Secure | undefined {
  return secure && { protocol: secure, certificate: keys.certificate.cert }
}

/** For `missing`: what of these is not on PATH. */
export function notInstalled(...executables: readonly string[]): string | undefined {
  const absent = executables.filter((name) => findExecutable(name) === undefined)
  return absent.length > 0 ? `${absent.join(', ')} not installed` : undefined
}

/** What the servers that forward are given by `nodePeer`. */
export interface ForwarderArgument {
  readonly port: number
  readonly upstream: number
}

/** Connections to the upstream: the same for every server. */
export const CONNECTIONS = 64
