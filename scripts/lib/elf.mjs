import { TaskError } from './run.mjs'

const [SHT_DYNSYM, SHT_DYNAMIC] = [11, 6]
const DT_SONAME = 14n
const [STB_WEAK, STB_GNU_UNIQUE] = [2, 10]

/**
 * Makes a shared library of its own out of a 64-bit little-endian ELF file, in place. The loader takes two libraries of one SONAME
 * for the same one, and gives all libraries of a process one copy of a symbol that is marked as unique, whatever they were loaded
 * as: two releases of a library would share the state of such symbols. So the name changes, and unique symbols become weak ones.
 * @param {Buffer} file
 * @param {string} soname of the length of the present one: the string is overwritten
 * @returns {{ unique: number }} how many symbols were unique
 */
export function makeOwnLibrary(file, soname) {
  if (file.readUInt32BE(0) !== 0x7f454c46 || file[4] !== 2 || file[5] !== 1)
    throw new TaskError('Not a 64-bit little-endian ELF file')
  rename(file, soname)
  return { unique: weakenUnique(file) }
}

function sections(file) {
  const [start, size, count] = [
    Number(file.readBigUInt64LE(40)),
    file.readUInt16LE(58),
    file.readUInt16LE(60),
  ]
  return Array.from({ length: count }, (_, at) => {
    const header = start + at * size
    return {
      type: file.readUInt32LE(header + 4),
      offset: Number(file.readBigUInt64LE(header + 24)),
      size: Number(file.readBigUInt64LE(header + 32)),
      link: file.readUInt32LE(header + 40),
    }
  })
}

function section(file, type) {
  const all = sections(file)
  const found = all.find((each) => each.type === type)
  if (found === undefined) throw new TaskError(`The library has no section of type ${type}`)
  return { ...found, strings: all[found.link]?.offset ?? 0 }
}

function rename(file, soname) {
  const { offset, size, strings } = section(file, SHT_DYNAMIC)
  for (let at = offset; at < offset + size; at += 16) {
    if (file.readBigInt64LE(at) !== DT_SONAME) continue
    const start = strings + Number(file.readBigUInt64LE(at + 8))
    const length = file.indexOf(0, start) - start
    if (length !== soname.length)
      throw new TaskError(
        `The library is called '${file.toString('latin1', start, start + length)}', which '${soname}' does not fit over`,
      )
    file.write(soname, start, 'latin1')
    return
  }
  throw new TaskError('The library has no SONAME')
}

function weakenUnique(file) {
  const { offset, size } = section(file, SHT_DYNSYM)
  let unique = 0
  for (let at = offset; at < offset + size; at += 24) {
    const info = file[at + 4]
    if (info >> 4 !== STB_GNU_UNIQUE) continue
    file[at + 4] = (STB_WEAK << 4) | (info & 15)
    unique += 1
  }
  return unique
}
