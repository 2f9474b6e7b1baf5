/** The door to PostgreSQL for programs that have no pool yet, and for the tables. `pg` is loaded when it is used. */
export { checkPostgres } from './stores/postgres/check.ts'
export { createPostgresPool, type OwnPostgresPool, type PostgresPoolOptions } from './stores/postgres/pool.ts'
export { migratePostgres, type PostgresSchemaOptions, postgresDdl } from './stores/postgres/schema.ts'
