import Type, { type Static } from 'typebox'
import { closed, secretFile } from './parts.ts'

/** Where grants are kept. Which key belongs to which type is judged in `rules/store.ts`. */
export const StoreSchema = Type.Object(
  {
    type: Type.Optional(
      Type.Enum(['memory', 'redis', 'postgres'], {
        default: 'memory',
        description: 'Where grants are kept.',
      }),
    ),
    url: Type.Optional(
      Type.String({
        minLength: 1,
        description:
          'Of redis (redis, rediss, redis+sentinel, redis+cluster) and postgres. Holds the password, so it is never shown.',
      }),
    ),
    urlFile: secretFile('url'),
    listenUrl: Type.Optional(
      Type.String({
        minLength: 1,
        description:
          'Of postgres: the server itself, for LISTEN, where `url` leads to a pooler such as PgBouncer.',
      }),
    ),
    maxRecords: Type.Optional(Type.Integer({ minimum: 1, default: 100_000, description: 'Of memory.' })),
    dangerouslyAllowInProduction: Type.Optional(
      Type.Boolean({ default: false, description: 'Of memory: every session is lost at a restart.' }),
    ),
  },
  { ...closed, default: {} },
)

/** As written in the file. */
export type StoreSettings = Static<typeof StoreSchema>

/** With the schema's defaults. */
export type DefaultedStore = StoreSettings &
  Required<Pick<StoreSettings, 'type' | 'maxRecords' | 'dangerouslyAllowInProduction'>>

/** What the store is made of. Holds the password of redis and postgres. */
export type StoreConfig =
  | {
      readonly type: 'memory'
      readonly maxRecords: number
      readonly dangerouslyAllowInProduction: boolean
    }
  | { readonly type: 'redis'; readonly url: string }
  | { readonly type: 'postgres'; readonly url: string; readonly listenUrl?: string }
