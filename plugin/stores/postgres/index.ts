/** The door to PostgreSQL for programs that have no pool yet, and for the tables. `pg` is loaded when it is used. */
export { checkPostgres, postgresVersion } from './check.ts'
export {
  createPostgresPool,
  type OwnPostgresPool,
  type PostgresPoolOptions,
  type PostgresTlsFiles,
  postgresUrlWithTls,
} from './pool.ts'
export { migratePostgres, type PostgresSchemaOptions, postgresDdl } from './schema.ts'
