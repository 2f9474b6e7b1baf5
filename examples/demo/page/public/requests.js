// @ts-check
/**
 * A worker that sends the app's requests. A refusal is what many of them are for, and a browser writes each one that a
 * page has sent into its console, as a defect of the page; a worker's it does not.
 */
addEventListener('message', async ({ data: { path, init }, ports: [port] }) => {
  try {
    const response = await fetch(path, init)
    port?.postMessage({
      status: response.status,
      headers: Object.fromEntries(response.headers),
      text: await response.text(),
    })
  } catch (error) {
    port?.postMessage({ error: String(error) })
  }
})
