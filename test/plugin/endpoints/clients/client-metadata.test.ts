import t from 'tap'
import { shownName } from '../../../../plugin/endpoints/clients/client-metadata.ts'

t.test('names as they may be shown (N-04, UTS #39 §5.2)', async (t) => {
  for (const [given, shown] of [
    ['Example Agent', 'Example Agent'],
    ['  Example\n\tAgent ', 'Example Agent'],
    ['\u202eelpmaxE\u202c', 'elpmaxE'],
    ['Exam\u200bple\u2028\u0000\ufeff', 'Example'],
    ['\ud835\udc06oogle', 'Google'],
    ['\uff27oogle', 'Google'],
    ['Claude Code (macOS)', 'Claude Code (macOS)'],
    ['Яндекс Музыка', 'Яндекс Музыка'],
    ['Яндекс Music', 'Яндекс Music'],
    ['東京アプリ App', '東京アプリ App'],
    ['한국어앱', '한국어앱'],
    ['G\u043eogle', ''],
    ['\u03a1ayPal', ''],
    ['p\u0430ypal.com', ''],
    ['\u13a0pple', ''],
    ['a\u0300\u0301\u0302\u0303\u0304', '\u00e0\u0301\u0302'],
    ['a'.repeat(1000), 'a'.repeat(64)],
    ['\u{1f600}'.repeat(100), '\u{1f600}'.repeat(64)],
    ['', ''],
    ['\ud800', ''],
  ] as const) {
    t.equal(
      shownName(given),
      shown,
      given.replace(/[^ -~]/g, (one) => `u${one.charCodeAt(0).toString(16)}`),
    )
  }
})
