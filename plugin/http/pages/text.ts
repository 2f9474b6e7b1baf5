/** Around a name in a sentence (Unicode FSI and PDI): they become `<bdi>`, and are in no name. */
const [START, END] = ['\u2068', '\u2069']
/** Controls, line separators, and formats, but for those that join letters: with them a name could be somebody else's. */
const NOT_SHOWN = /[\p{Cc}\p{Zl}\p{Zp}]|(?![\u200c\u200d])\p{Cf}/gu

const ENTITIES: Record<string, string> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
  [START]: '<bdi>',
  [END]: '</bdi>',
}

/** A text that others have written, without what is not seen. */
export function shown(text: string): string {
  return text.replace(NOT_SHOWN, '')
}

/** The same, to stand in a sentence of ours: whatever its direction, it cannot move words around it. */
export function isolated(text: string): string {
  return `${START}${shown(text)}${END}`
}

/** A sentence of ours, which may hold isolated names, as HTML. */
export function toHtml(sentence: string): string {
  return sentence.replace(/[&<>"'\u2068\u2069]/g, (character) => ENTITIES[character]!)
}

/** A sentence of ours as HTML where no element may be: in a title. */
export function toPlainHtml(sentence: string): string {
  return toHtml(sentence.replace(/[\u2068\u2069]/g, ''))
}

/** An attribute's value that is not shown, e.g. an address. */
export function toAttribute(value: string): string {
  return value.replace(/[&<>"']/g, (character) => ENTITIES[character]!)
}
