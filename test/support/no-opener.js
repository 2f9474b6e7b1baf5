/** In the place of the package that opens a system browser: the tests bring their own. */
export default function opener() {
  throw new Error('no browser is opened in tests')
}
