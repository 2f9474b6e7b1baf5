/** Attacks with connections on which next to nothing happens, or that break. */
import { connect } from 'node:net'
import { HOST } from '../../../support/forwarder.ts'
import { type Attack, connectTls, count, keepOpen, pause, someAddress, type Tally } from './attack.ts'

const SLOW = 500
const HALF_OPEN = 1000
const RESETS_PER_SECOND = 200
/** How often that many of them are begun. */
const TICK_MS = 50

/** A head that never ends, a byte each second. */
export const slowHeads: Attack = (target, signal) =>
  keepOpen(SLOW, signal, {
    open() {
      const socket = connectTls(target)
      socket.write(`GET /api/orders HTTP/1.1\r\nHost: ${HOST}\r\nX-Slow: `)
      return socket
    },
    beat: (socket) => void socket.write('a'),
  })

/** A body that never ends, a byte each second: half of them to an endpoint, half to the API with a session. */
export const slowBodies: Attack = (target, signal) => {
  let turn = 0
  return keepOpen(SLOW, signal, {
    open() {
      const socket = connectTls(target)
      const isForApi = turn++ % 2 === 0
      const lines = [
        `POST ${isForApi ? '/api/orders' : '/oauth2/token'} HTTP/1.1`,
        `Host: ${HOST}`,
        `X-Forwarded-For: ${someAddress()}`,
        ...(isForApi ? [`Authorization: Bearer ${target.token}`] : []),
        'Content-Type: application/x-www-form-urlencoded',
        'Content-Length: 10000',
      ]
      socket.write(`${lines.join('\r\n')}\r\n\r\na`)
      return socket
    },
    beat: (socket) => void socket.write('a'),
  })
}

/** The first bytes of a ClientHello (RFC 8446 §5.1), and then nothing. */
export const halfOpenTls: Attack = ({ port }, signal) =>
  keepOpen(HALF_OPEN, signal, {
    open() {
      const socket = connect(port, '127.0.0.1')
      socket.write(Buffer.from('16030102000100', 'hex'))
      return socket
    },
  })

/** A whole request, and a reset before its answer. */
export const resets: Attack = async (target, signal) => {
  const tally: Tally = {}
  const one = () =>
    new Promise<void>((resolve) => {
      // Of a TLS connection, only the one beneath it can be reset.
      const beneath = connect(target.port, '127.0.0.1')
      beneath.on('error', () => {}).on('close', () => resolve())
      const socket = connectTls(target, { socket: beneath })
      socket.on('error', () => {})
      socket.once('secureConnect', () => {
        const head = `GET /api/orders HTTP/1.1\r\nHost: ${HOST}\r\nAuthorization: Bearer ${target.token}\r\n\r\n`
        socket.write(head, () => {
          count(tally, 'reset after the request')
          beneath.resetAndDestroy()
        })
      })
    })
  let underWay = 0
  while (!signal.aborted) {
    // No more than a second's worth at a time.
    for (let i = 0; i < (RESETS_PER_SECOND * TICK_MS) / 1000 && underWay < RESETS_PER_SECOND; i++) {
      underWay++
      void one().then(() => underWay--)
    }
    await pause(TICK_MS)
  }
  while (underWay > 0) await pause(TICK_MS)
  return tally
}
