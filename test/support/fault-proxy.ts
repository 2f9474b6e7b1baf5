import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

/**
 * What happens to a message on its way to the server.
 *
 * `before`: the server is gone before the message reaches it. `after`: it has done what the message asks, and is
 * gone before its answer arrives. Both cut every connection until `heal`. `hole`: nothing passes any more, in
 * either direction and on any connection, and nobody is told; after `heal` all of it arrives, as TCP would have it.
 * `hold`: the same for this one connection.
 */
export type Fault = 'before' | 'after' | 'hole' | 'hold'

/** A TCP proxy to a server, which can break at the very message that a test is about. */
export interface FaultProxy {
  readonly port: number
  /** The n-th message from now that contains `mark` meets the fault. Resolves when it does. */
  strike(mark: string, fault: Fault, nth?: number): Promise<void>
  /** Cuts every connection and refuses new ones. */
  cut(): void
  /** New connections lead to another server, as behind a name that moves; open ones stay where they are. */
  moveTo(serverPort: number): void
  /** Lets nothing pass, and tells nobody. */
  blackHole(): void
  /** What is on its way never arrives. */
  lose(): void
  /** Ends every fault, also one that has not struck. */
  heal(): void
  stop(): Promise<void>
}

interface Link {
  readonly near: Socket
  readonly far: Socket
  isHeld: boolean
  losesAnswer: boolean
}

/** The server may still be answering an earlier message of the same connection. */
const ANSWERED_MS = 15

/** @param serverPort on 127.0.0.1. */
export async function startFaultProxy(serverPort: number): Promise<FaultProxy> {
  const links = new Set<Link>()
  /** In the order in which it came. */
  let held: (() => void)[] = []
  let target = serverPort
  let isCut = false
  let isHole = false
  let armed: { mark: string; fault: Fault; countdown: number; struck: () => void } | null = null

  const cut = () => {
    isCut = true
    for (const { near, far } of links) {
      near.destroy()
      far.destroy()
    }
  }
  const pass = (link: Link, deliver: () => void) => {
    if (isHole || link.isHeld) held.push(deliver)
    else deliver()
  }
  const strike = (link: Link): boolean => {
    const { fault, struck } = armed!
    armed = null
    if (fault === 'before') cut()
    if (fault === 'after') link.losesAnswer = true
    if (fault === 'hole') isHole = true
    if (fault === 'hold') link.isHeld = true
    struck()
    return fault === 'before'
  }

  const server = createServer((near) => {
    if (isCut) return void near.destroy()
    const far = connect(target, '127.0.0.1')
    const link: Link = { near, far, isHeld: false, losesAnswer: false }
    links.add(link)
    near.on('data', (message) => {
      if (armed !== null && message.includes(armed.mark)) {
        armed.countdown -= 1
        if (armed.countdown === 0 && strike(link)) return
      }
      pass(link, () => far.write(message))
    })
    far.on('data', (answer) => {
      if (!link.losesAnswer) pass(link, () => near.write(answer))
      else setTimeout(cut, ANSWERED_MS)
    })
    // What was on its way when one end gave up still arrives.
    near.on('close', () => pass(link, () => far.end()))
    far.on('close', () => {
      links.delete(link)
      pass(link, () => near.destroy())
    })
    for (const socket of [near, far]) socket.on('error', () => {})
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')

  const proxy: FaultProxy = {
    port: (server.address() as AddressInfo).port,
    strike: (mark, fault, nth = 1) =>
      new Promise((struck) => {
        armed = { mark, fault, countdown: nth, struck }
      }),
    cut,
    moveTo(port) {
      target = port
    },
    blackHole() {
      isHole = true
    },
    lose() {
      held = []
    },
    heal() {
      armed = null
      isCut = false
      isHole = false
      for (const link of links) link.isHeld = false
      const arrived = held
      held = []
      for (const deliver of arrived) deliver()
    },
    async stop() {
      held = []
      cut()
      server.close()
      await once(server, 'close')
    },
  }
  return proxy
}
