/** Arrays with more to them than their elements: a shape, or a name and an index. */

import { makeError } from './errors.js'
import { builtinName } from './intrinsics.js'
import { checkOptions } from './options.js'
import { describe, isList, isUnreadable } from './refusal.js'

/** Any array of numbers; `Float16Array` too, where the run time has it. */
export type NumberArray =
  | Int8Array
  | Uint8Array
  | Uint8ClampedArray
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | Float32Array
  | Float64Array
  | BigInt64Array
  | BigUint64Array

/** Names by the number that is on disk: a number is never given a second meaning. */
export const ARRAY_TYPES: readonly string[] = [
  'Int8Array',
  'Uint8ClampedArray',
  'Int16Array',
  'Uint16Array',
  'Float16Array',
  'Int32Array',
  'Uint32Array',
  'Float32Array',
  'BigInt64Array',
  'BigUint64Array',
  'Float64Array',
  'Uint8Array',
]

/** The number of an array's type, or -1: a subclass, a Buffer and a DataView are none. */
export function arrayType(value: unknown): number {
  if (!ArrayBuffer.isView(value)) return -1
  return ARRAY_TYPES.indexOf(builtinName(value, Object.getPrototypeOf(value)) ?? '')
}

const MOST_AXES = 64

/** An array of numbers with a shape, in row-major order: the last index moves fastest. */
export class NdArray<T extends NumberArray = NumberArray> {
  readonly #brand = true

  /** @internal */
  static is(value: object): value is NdArray {
    return #brand in value
  }

  /** @throws InvalidOptionError `E_INVALID_OPTION`: the shape does not fit the data */
  constructor(
    /** All elements, in row-major order. */
    readonly data: T,
    /** Elements along each axis. */
    readonly shape: readonly number[] = [isUnreadable(data) ? 0 : data?.length],
  ) {
    checkArray(data, 'an ndarray')
    const isCount = (length: unknown) => Number.isSafeInteger(length) && (length as number) >= 0
    // Not more than it may have, hole by hole, and no item read twice: it may come from a file that somebody made.
    const axes = isList(shape) && shape.length <= MOST_AXES ? Array.from<number>(shape) : undefined
    if (!axes?.every(isCount)) {
      throw invalid(
        'shape',
        `Invalid shape: got ${describe(shape)}. Give the elements along each axis, of ${MOST_AXES} at most, as whole numbers.`,
      )
    }
    if (axes.reduce((size, length) => size * length, 1) !== data.length) {
      throw invalid('shape', `A shape of ${axes.join(' x ')} does not hold ${data.length} elements.`)
    }
    this.shape = Object.freeze(axes)
    Object.freeze(this)
  }

  /** The element at these indices, one an axis; undefined outside. */
  at(...indices: number[]): T[number] | undefined {
    let offset = 0
    for (const [axis, length] of this.shape.entries()) {
      const index = indices[axis] ?? 0
      if (!(index >= 0 && index < length)) return undefined
      offset = offset * length + index
    }
    return this.data[offset]
  }
}

/** An array of numbers with a name and an index: what the elements are, and what each belongs to. */
export class Series<T extends NumberArray = NumberArray> {
  readonly #brand = true

  /** @internal */
  static is(value: object): value is Series {
    return #brand in value
  }

  /** @throws InvalidOptionError `E_INVALID_OPTION`: the index does not fit the data */
  constructor(
    /** Its elements. */
    readonly data: T,
    /** What they are. */
    readonly name?: string | undefined,
    /** As long as the data: another array of numbers, or any storable items. */
    readonly index?: NumberArray | readonly unknown[] | undefined,
  ) {
    checkArray(data, 'a series')
    if (name !== undefined && typeof name !== 'string') {
      throw invalid('name', `Invalid name: got ${describe(name)}. Give a string.`)
    }
    if (index !== undefined) {
      if (!Array.isArray(index) && arrayType(index) < 0) {
        throw invalid('index', `Invalid index: got ${describe(index)}. Give an array or a typed array.`)
      }
      if (index.length !== data.length) {
        throw invalid('index', `An index of ${index.length} does not fit ${data.length} elements.`)
      }
    }
    Object.freeze(this)
  }
}

/** An array with a shape: `ndarray(new Float64Array(6), [2, 3])`. @throws InvalidOptionError `E_INVALID_OPTION` */
export function ndarray<T extends NumberArray>(data: T, shape?: readonly number[]): NdArray<T> {
  return new NdArray(data, shape)
}

/** An array with a name and an index. @throws InvalidOptionError `E_INVALID_OPTION` */
export function series<T extends NumberArray>(
  data: T,
  options: { name?: string | undefined; index?: NumberArray | readonly unknown[] | undefined } = {},
): Series<T> {
  checkOptions(options, ['name', 'index'], 'a series')
  return new Series(data, options.name, options.index)
}

function checkArray(data: unknown, what: string): void {
  if (arrayType(data) >= 0) return
  throw invalid('data', `The data of ${what} is ${describe(data)}. Give a typed array.`)
}

function invalid(name: string, message: string): Error {
  return makeError('E_INVALID_OPTION', message, { name })
}
