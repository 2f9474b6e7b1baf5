import Type from 'typebox'
import { closed, pemFile, secretFile } from './parts.ts'

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
    urlFile: Type.Optional(
      Type.String({
        minLength: 1,
        description:
          'File that holds url. Relative to the configuration file, or else to the working directory. Read again when the store refuses the user name or the password.',
      }),
    ),
    listenUrl: Type.Optional(
      Type.String({
        minLength: 1,
        description:
          'Of postgres: the server itself, for LISTEN, where `url` leads to a pooler such as PgBouncer.',
      }),
    ),
    listenUrlFile: Type.Optional(
      Type.String({ minLength: 1, description: 'File that holds listenUrl. Read for each connection.' }),
    ),
    caFile: pemFile(
      'PEM: who may have issued the certificate of the store, in the place of all public authorities. Relative to the configuration file.',
    ),
    clientCertFile: pemFile('PEM: our certificate for the store, then the intermediate ones.'),
    clientKeyFile: pemFile('PEM: its private key.'),
    sentinelUsername: Type.Optional(
      Type.String({
        minLength: 1,
        description: "Of redis+sentinel: the Sentinels' own; the URL has the servers'.",
      }),
    ),
    sentinelPassword: Type.Optional(
      Type.String({ minLength: 1, description: 'Of redis+sentinel. Never shown.' }),
    ),
    sentinelPasswordFile: secretFile('sentinelPassword'),
    maxRecords: Type.Optional(Type.Integer({ minimum: 1, default: 100_000, description: 'Of memory.' })),
    dangerouslyAllowInProduction: Type.Optional(
      Type.Boolean({ default: false, description: 'Of memory: every session is lost at a restart.' }),
    ),
  },
  { ...closed, default: {} },
)
