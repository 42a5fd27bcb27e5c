import { TaskError } from './run.mjs'

/**
 * Makes a 64-bit program or library of Windows import another library by name, in place. Windows takes a loaded library of the same file
 * name for the one that is meant, wherever it came from. Both names have one length.
 * @param {Buffer} file
 * @returns {boolean} false where it imports `to` already
 */
export function renameImport(file, from, to) {
  if (to.length !== from.length) throw new TaskError(`'${to}' is not as long as '${from}'`)
  const header = file.readUInt32LE(0x3c)
  const optional = header + 24
  if (file.toString('latin1', header, header + 4) !== 'PE\0\0' || file.readUInt16LE(optional) !== 0x20b)
    throw new TaskError('Not a 64-bit program of Windows')
  const offset = addresses(file, header, optional)
  const found = []
  // The second directory is that of imports: 20 bytes each, the name's address in the fourth word; an empty one ends them.
  for (let at = offset(file.readUInt32LE(optional + 112 + 8)); file.readUInt32LE(at + 12) !== 0; at += 20) {
    const start = offset(file.readUInt32LE(at + 12))
    const name = file.toString('latin1', start, file.indexOf(0, start))
    if (name === to) return false
    if (name.toLowerCase() === from) {
      file.write(to, start, 'latin1')
      return true
    }
    found.push(name)
  }
  throw new TaskError(`Nothing is imported from '${from}', only from ${found.join(', ')}`)
}

/** From addresses in memory to places in the file. */
function addresses(file, header, optional) {
  const [count, first] = [file.readUInt16LE(header + 6), optional + file.readUInt16LE(header + 20)]
  return (address) => {
    for (let at = first; at < first + count * 40; at += 40) {
      const [size, start, place] = [8, 12, 20].map((field) => file.readUInt32LE(at + field))
      if (address >= start && address < start + size) return address - start + place
    }
    throw new TaskError(`No section has the address ${address}`)
  }
}
