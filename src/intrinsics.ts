/**
 * Which built-in class an object belongs to, exactly: a subclass is not its parent. Objects of another realm (vm contexts,
 * test runners) count as what they are.
 */
import { types } from 'node:util'

type AnyClass = { readonly name: string; readonly prototype: object }
type ViewClass = new (buffer: ArrayBuffer, byteOffset?: number, length?: number) => ArrayBufferView

/** Every view class this run time has, by name; `Float16Array` came with Node 24. */
export const VIEW_CLASSES: ReadonlyMap<string, ViewClass> = new Map(
  [
    'DataView',
    'Int8Array',
    'Uint8Array',
    'Uint8ClampedArray',
    'Int16Array',
    'Uint16Array',
    'Int32Array',
    'Uint32Array',
  ]
    .concat(['Float16Array', 'Float32Array', 'Float64Array', 'BigInt64Array', 'BigUint64Array'])
    .map((name) => [name, (globalThis as Record<string, unknown>)[name] as ViewClass] as const)
    .filter(([, type]) => type !== undefined),
)

/** The error classes that are stored by name. */
export const ERROR_TYPES: readonly ErrorConstructor[] = [
  Error,
  TypeError,
  RangeError,
  SyntaxError,
  ReferenceError,
  EvalError,
  URIError,
  AggregateError as unknown as ErrorConstructor,
]

const PLAIN: readonly AnyClass[] = [Object, Array, Date, RegExp, Map, Set, URL, ArrayBuffer]
const BY_NAME = new Map<string, AnyClass>(
  [...PLAIN, ...ERROR_TYPES, ...(VIEW_CLASSES.values() as Iterable<AnyClass>)].map((type) => [
    type.name,
    type,
  ]),
)
const LOCAL = new Map<object, string>([...BY_NAME.values()].map((type) => [type.prototype, type.name]))
LOCAL.set(Buffer.prototype, 'Buffer')

/**
 * The name of the built-in class whose prototype is `proto`, or undefined. For a class of this realm only the prototype is
 * looked at: the caller reads the object through the class's own accessors, which refuse an impostor.
 */
export function builtinName(value: object, proto: object | null): string | undefined {
  if (proto === null) return undefined
  return LOCAL.get(proto) ?? fakeDate(value, proto) ?? foreignName(value, proto)
}

/** Whether an object with this prototype is plain data: an object literal of any realm, or one without a prototype. */
export function isPlain(value: object, proto: object | null): boolean {
  return proto === Object.prototype || proto === null || builtinName(value, proto) === 'Object'
}

/** What test runners put in the place of `Date` is a subclass of it, whose instances are dates. */
function fakeDate(value: object, proto: object): 'Date' | undefined {
  return proto === Date.prototype && types.isDate(value) ? 'Date' : undefined
}

function foreignName(value: object, proto: object): string | undefined {
  const maker: unknown = Object.getOwnPropertyDescriptor(proto, 'constructor')?.value
  if (typeof maker !== 'function') return undefined
  const local = BY_NAME.get(maker.name)
  // A class written in JavaScript under a built-in's name has a source text; a built-in has none.
  if (local === undefined || !/\{\s*\[native code\]\s*\}$/.test(Function.prototype.toString.call(maker)))
    return undefined
  if (chainLength(proto) !== chainLength(local.prototype) || !hasSlots(value, local.name)) return undefined
  return local.name
}

function chainLength(proto: object): number {
  let length = 0
  for (let at: object | null = proto; at !== null && length < 8; at = Object.getPrototypeOf(at)) length++
  return length
}

function hasSlots(value: object, name: string): boolean {
  switch (name) {
    case 'Object':
      return true
    case 'Array':
      return Array.isArray(value)
    case 'Date':
      return types.isDate(value)
    case 'RegExp':
      return types.isRegExp(value)
    case 'Map':
      return types.isMap(value)
    case 'Set':
      return types.isSet(value)
    case 'ArrayBuffer':
      return types.isArrayBuffer(value)
    default:
      return name.endsWith('Error')
        ? types.isNativeError(value)
        : ArrayBuffer.isView(value) && viewName(value) === name
  }
}

const typedArrayTag = Object.getOwnPropertyDescriptor(
  Object.getPrototypeOf(Uint8Array.prototype),
  Symbol.toStringTag,
)?.get as () => string | undefined

/** The class name of a view by its internal slots, so a `Buffer` is a `Uint8Array`. */
export function viewName(view: ArrayBufferView): string {
  return typedArrayTag.call(view) ?? 'DataView'
}

/**
 * The bytes that a view or a buffer shows, without copying.
 * @throws TypeError where the memory is detached or the object is not what its prototype says.
 */
export function bytesOf(source: ArrayBuffer | ArrayBufferView): Buffer {
  if (!ArrayBuffer.isView(source)) return Buffer.from(source)
  return Buffer.from(source.buffer as ArrayBuffer, source.byteOffset, source.byteLength)
}

/** Whether this is an `ArrayBuffer` that is neither shared, resizable nor detached. */
export function isFixed(memory: object): memory is ArrayBuffer {
  if (!(memory instanceof ArrayBuffer) && !types.isArrayBuffer(memory)) return false
  const { resizable, detached = isDetached(memory) } = memory as { resizable?: boolean; detached?: boolean }
  return resizable !== true && !detached
}

/** What Node 20 does not say by itself. */
function isDetached(memory: ArrayBuffer): boolean {
  if (memory.byteLength > 0) return false
  try {
    new Uint8Array(memory)
    return false
  } catch {
    return true
  }
}

/** Whether this is a `SharedArrayBuffer`, whose bytes may change while they are read. */
export function isShared(memory: object): boolean {
  return types.isSharedArrayBuffer(memory)
}
