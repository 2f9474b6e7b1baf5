/**
 * The door to the schemas of the options, for programs that make a configuration or a form of them, as the gateway
 * does. Only this door's types need typebox.
 */
export { schemaProblems } from '../options/problems/schema-problems.ts'
export {
  AppLinkSchema,
  ClientSchema,
  OptionsSchema,
  ProviderSchema,
  ResourceServerSchema,
} from '../options/schema.ts'
