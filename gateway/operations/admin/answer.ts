/** What the admin listener sends. */
export interface Answer {
  readonly status: number
  /** Sent as JSON, or as text where it has a type. */
  readonly body: unknown
  readonly contentType?: string
  readonly headers?: Readonly<Record<string, string>>
}

/** An answer that says what is wrong, and what to do. */
export function refusal(status: number, message: string): Answer {
  return { status, body: { status: 'refused', message } }
}
