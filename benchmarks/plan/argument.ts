/** The programs of the benchmarks take one argument: a JSON object. @returns it. */
export function readArgument<T>(): T {
  return JSON.parse(process.argv[2] ?? '{}') as T
}
