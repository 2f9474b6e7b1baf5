import Type from 'typebox'

/** Keys that the schema does not name are errors. */
export const closed = { additionalProperties: false }

/** Up to ten years. */
export const seconds = (defaultSeconds: number, description: string) =>
  Type.Optional(Type.Integer({ minimum: 0, maximum: 315_360_000, default: defaultSeconds, description }))

/** Up to an hour. */
export const milliseconds = (defaultMs: number, description: string) =>
  Type.Optional(Type.Integer({ minimum: 1, maximum: 3_600_000, default: defaultMs, description }))

/** A list of texts that are not empty. */
export const strings = (description: string, defaults: string[] = []) =>
  Type.Optional(Type.Array(Type.String({ minLength: 1 }), { default: defaults, description }))
