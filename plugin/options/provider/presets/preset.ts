/** A provider as a table of plain options: each is one that anybody may set, and all can be overridden (M-01). */
export interface Preset {
  /** Keys of `provider`, with what they are here. */
  readonly options: Readonly<Record<string, unknown>>
  /** Keys of `provider` that nobody else can know, and what to write there. */
  readonly needs?: Readonly<Record<string, string>>
  /** Where an operator registers us, in the provider's own words. */
  readonly console?: {
    /** Page by page, to the client. */
    readonly where: string
    /** What the list of redirect URIs is called there. */
    readonly redirectUris: string
  }
}
