import { setFlagsFromString } from 'node:v8'

/**
 * Imported first, for its effect on the process: everything is allocated young.
 *
 * V8 moves an allocation site to the old generation for good when a few hundred of its objects happened to survive.
 * A proxy's objects live as long as a request, but those of the start, and of a burst, survive: in about one process
 * of three the entries of `process.nextTick` were allocated old, which cost a third of the throughput until the end.
 */
setFlagsFromString('--no-allocation-site-pretenuring')
