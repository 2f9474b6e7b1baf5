import { setImmediate as tick } from 'node:timers/promises'
import t from 'tap'
import { Channel, type ChannelEvents, Watchers } from '../../../plugin/stores/channel.ts'
import { StoreError, type StoreWatcher } from '../../../plugin/stores/store.ts'

function recordingWatcher(): StoreWatcher & { heard: string[] } {
  const heard: string[] = []
  return {
    heard,
    onChange: (key) => heard.push(key),
    onGap: () => heard.push('gap'),
    onResume: () => heard.push('resume'),
  }
}

/** One life of a channel, in the test's hands. */
interface Life extends ChannelEvents {
  /** The connection is lost. */
  lose(error?: Error): Promise<void>
  signal: AbortSignal
}

/** A channel whose lives are opened one by one, without pauses. */
function channelInHand(isFinal: (error: unknown) => boolean = () => false) {
  const lives: Life[] = []
  const pauses: number[] = []
  const time = { now: 1_000_000 }
  const channel = new Channel({
    store: 'test',
    now: () => time.now,
    hold: ({ onStand, onChange }, signal) =>
      new Promise<never>((_, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason))
        const lose = async (error = new Error('lost')) => {
          reject(error)
          await opened(lives.length)
        }
        lives.push({ onStand, onChange, signal, lose })
      }),
    wait: (standing) => standing(),
    isFinal,
    pauseMs(failures) {
      pauses.push(failures)
      return 0
    },
  })
  /** Resolves when there is a life after number `count`, or none will come any more. */
  async function opened(count: number): Promise<void> {
    for (let turns = 0; lives.length <= count && turns < 1000; turns += 1) await tick()
  }
  return { channel, lives, pauses, time }
}

t.test('a watch stands when its channel does, and hears what happens (G-17)', async (t) => {
  const { channel, lives } = channelInHand()
  const first = recordingWatcher()
  const watching = channel.watch(first)
  t.same(first.heard, [])
  lives[0]!.onStand()
  await watching
  lives[0]!.onStand()
  lives[0]!.onChange('a')
  t.same(first.heard, ['resume', 'a'])

  const second = recordingWatcher()
  await channel.watch(second)
  t.same(second.heard, ['resume'], 'it is told the state at once')
  t.equal(lives.length, 1, 'one channel for all')
  channel.close()
})

t.test('a lost connection is a gap for all, and is opened anew (G-17)', async (t) => {
  const { channel, lives, pauses } = channelInHand()
  const watcher = recordingWatcher()
  const watching = channel.watch(watcher)
  lives[0]!.onStand()
  await watching
  await lives[0]!.lose()
  t.same(watcher.heard, ['resume', 'gap'])
  await lives[1]!.lose()
  t.same(watcher.heard, ['resume', 'gap'], 'a gap is told once')
  lives[2]!.onStand()
  t.same(watcher.heard, ['resume', 'gap', 'resume'])
  await lives[2]!.lose()
  t.same(pauses, [1, 2, 1], 'failures in a row are counted until it stands')
  channel.close()
})

t.test('two watches with one watcher end one by one; the last one ends the channel', async (t) => {
  const { channel, lives } = channelInHand()
  const watcher = recordingWatcher()
  const watching = [channel.watch(watcher), channel.watch(watcher)]
  lives[0]!.onStand()
  const [endFirst, endSecond] = await Promise.all(watching)
  endFirst!()
  endFirst!()
  lives[0]!.onChange('a')
  t.same(watcher.heard, ['resume', 'resume', 'a'])
  t.equal(lives[0]!.signal.aborted, false)
  endSecond!()
  t.equal(lives[0]!.signal.aborted, true)
  await tick()
  t.equal(lives.length, 1, 'nothing is opened for nobody')
})

t.test('an ended channel has no say in the one that came after it', async (t) => {
  const { channel, lives } = channelInHand()
  const watching = channel.watch(recordingWatcher())
  lives[0]!.onStand()
  const end = await watching
  end()
  const watcher = recordingWatcher()
  const again = channel.watch(watcher)
  lives[0]!.onStand()
  await tick()
  t.same(watcher.heard, [], 'the old connection does not make it stand')
  lives[1]!.onStand()
  await again
  t.same(watcher.heard, ['resume'])
  channel.close()
})

t.test('who waits is told a final failure, and waits on after any other', async (t) => {
  const { channel, lives } = channelInHand((error) => error instanceof StoreError)
  const watching = channel.watch(recordingWatcher())
  const refused = t.rejects(watching, { name: 'StoreError', message: /wrong password/ })
  await lives[0]!.lose()
  await lives[1]!.lose(new StoreError('test', 'watch', 'wrong password'))
  await refused
  t.equal(lives[1]!.signal.aborted, true, 'nobody watches any more')
  t.equal(lives.length, 2)
})

t.test('close refuses those who wait, and may be repeated', async (t) => {
  const { channel, lives } = channelInHand()
  const watching = channel.watch(recordingWatcher())
  channel.close()
  channel.close()
  await t.rejects(watching, { name: 'StoreError', message: 'test store: watch: closed' })
  t.equal(lives[0]!.signal.aborted, true)
})

t.test('Watchers: gap and resume are told once in a row', async (t) => {
  const watchers = new Watchers()
  const watcher = recordingWatcher()
  const remove = watchers.add(watcher)
  watchers.gap()
  watchers.resume()
  watchers.resume()
  watchers.change('a')
  watchers.gap()
  watchers.gap()
  t.same(watcher.heard, ['resume', 'a', 'gap'])
  remove()
  watchers.resume()
  t.same(watcher.heard, ['resume', 'a', 'gap'])
  t.equal(watchers.size, 0)
})

t.test(
  'what is proved is proved for two seconds, and for no longer than the channel stands (G-17)',
  async (t) => {
    const { channel, lives, time } = channelInHand()
    t.equal(channel.provedUntil, 0, 'nothing has been proved')
    const watching = channel.watch(recordingWatcher())
    lives[0]!.onStand()
    await watching
    t.equal(channel.provedUntil, time.now + 2000)
    time.now += 1500
    lives[0]!.onStand()
    t.equal(channel.provedUntil, time.now + 2000, 'each proof counts anew')
    await lives[0]!.lose()
    t.equal(channel.provedUntil, 0)
    lives[1]!.onStand()
    t.equal(channel.provedUntil, time.now + 2000)
    channel.close()
    t.equal(channel.provedUntil, 0)
  },
)
