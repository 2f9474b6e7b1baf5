import { hash, timingSafeEqual } from 'node:crypto'
import { randomBytes } from './random.ts'

/** The four credentials that we issue, by the letter in their prefix (requirements C-24). */
export type HandleType = 'state' | 'code' | 'access' | 'refresh'
const PREFIXES = { state: 'pks_', code: 'pkc_', access: 'pka_', refresh: 'pkr_' } as const
const HANDLE = /^pk[arcs]_[A-Za-z0-9_-]{64}$/

const SELECTOR_BYTES = 16
const SECRET_BYTES = 32
/** A refresh secret is a family part, constant for the grant, and a generation part (D-04). */
const FAMILY_BYTES = 16

/** A handle taken apart. `selector` names the grant's record; `secret` never leaves the process unhashed. */
export interface Handle {
  readonly type: HandleType
  /** The whole credential, as sent. */
  readonly value: string
  /** 22 base64url characters. */
  readonly selector: string
  /** 32 bytes. */
  readonly secret: Buffer
}

/** Issues the first handle of a grant: 128 random bits for its name, 256 for the secret (RFC 6749 §10.10, G-01). */
export function issueFirstHandle(type: HandleType): Handle {
  return handleOf(type, randomBytes(SELECTOR_BYTES + SECRET_BYTES))
}

/** Issues another handle for the grant `selector`: with 256 random bits, unless a secret of 32 bytes is given. */
export function issueHandle(
  type: HandleType,
  selector: string,
  secret: Buffer = randomBytes(SECRET_BYTES),
): Handle {
  return handleOf(type, Buffer.concat([Buffer.from(selector, 'base64url'), secret]))
}

/** The secret of the generation after `previous`: the same family, and 128 bits of `random`. */
export function nextGeneration(previous: Handle, random: Buffer): Buffer {
  return Buffer.concat([familyOf(previous), random], SECRET_BYTES)
}

/**
 * Takes a credential apart, or null if it is not a well-formed handle of this type.
 * 64 base64url characters are exactly 48 bytes, so no two spellings decode to the same handle (P-8).
 */
export function parseHandle(type: HandleType, value: string): Handle | null {
  if (value.length !== 68 || !value.startsWith(PREFIXES[type]) || !HANDLE.test(value)) return null
  return handleOf(type, Buffer.from(value.slice(4), 'base64url'), value)
}

/** The constant part of a refresh handle: 16 bytes. */
export function familyOf(refresh: Handle): Buffer {
  return refresh.secret.subarray(0, FAMILY_BYTES)
}

/**
 * What is stored instead of a credential: SHA-256 of the whole of it as 43 base64url characters. The type
 * prefix is part of the input, so one type never matches another (G-02). No key is needed: the input has 256
 * random bits.
 */
export function hashCredential(value: string): string {
  return hash('sha256', value, 'base64url')
}

/** The stored hash of a refresh handle's family part. */
export function hashFamily(refresh: Handle): string {
  return hash(
    'sha256',
    `pkr_family\0${refresh.selector}\0${familyOf(refresh).toString('base64url')}`,
    'base64url',
  )
}

/** Compares two hashes of 43 characters in constant time. */
export function sameHash(a: string, b: string): boolean {
  return a.length === b.length && timingSafeEqual(Buffer.from(a, 'latin1'), Buffer.from(b, 'latin1'))
}

function handleOf(
  type: HandleType,
  bytes: Buffer,
  value: string = PREFIXES[type] + bytes.toString('base64url'),
): Handle {
  return {
    type,
    value,
    selector: bytes.toString('base64url', 0, SELECTOR_BYTES),
    secret: bytes.subarray(SELECTOR_BYTES),
  }
}
