import Type from 'typebox'

/** Keys that the schema does not name are errors. */
export const closed = { additionalProperties: false }

/** A duration of up to a day. */
export const milliseconds = (defaultMs: number, description: string, minimum = 1) =>
  Type.Optional(Type.Integer({ minimum, maximum: 86_400_000, default: defaultMs, description }))

/** A list of non-empty strings, empty by default. */
export const strings = (description: string) =>
  Type.Optional(Type.Array(Type.String({ minLength: 1 }), { default: [], description }))

/** A secret named by the file that holds it. */
export const secretFile = (key: string) =>
  Type.Optional(
    Type.String({
      minLength: 1,
      description: `File that holds ${key}. Relative to the configuration file, or else to the working directory.`,
    }),
  )

/** A PEM file. */
export const pemFile = (description: string) => Type.Optional(Type.String({ minLength: 1, description }))

/** Where a listener listens. */
export const address = (host: string, port: number) => ({
  host: Type.Optional(
    Type.String({
      minLength: 1,
      default: host,
      description: 'Address to listen on, or a name: then the first address that it has.',
    }),
  ),
  port: Type.Optional(
    Type.Integer({ minimum: 0, maximum: 65_535, default: port, description: '0: any free port.' }),
  ),
})
