import { TaskError } from './run.mjs'

const [FAT, FAT_64, MACHO_64] = [0xcafebabe, 0xcafebabf, 0xfeedfacf]
const LC_ID_DYLIB = 0xd

/**
 * Gives a shared library of macOS another name, in place: the one that those who are linked with it look for. Both have one length.
 * @param {Buffer} file of one architecture, or of several
 */
export function renameLibrary(file, from, to) {
  if (to.length !== from.length) throw new TaskError(`'${to}' is not as long as '${from}'`)
  for (const start of images(file)) renameImage(file, start, from, to)
}

/** Where the image of each architecture starts. */
function images(file) {
  const magic = file.readUInt32BE(0)
  if (magic !== FAT && magic !== FAT_64) return [0]
  const [size, offset] =
    magic === FAT
      ? [20, (at) => file.readUInt32BE(at + 8)]
      : [32, (at) => Number(file.readBigUInt64BE(at + 8))]
  return Array.from({ length: file.readUInt32BE(4) }, (_, index) => offset(8 + index * size))
}

function renameImage(file, start, from, to) {
  if (file.readUInt32LE(start) !== MACHO_64) throw new TaskError('Not a 64-bit library of macOS')
  let at = start + 32
  for (let left = file.readUInt32LE(start + 16); left > 0; left--) {
    const [command, size] = [file.readUInt32LE(at), file.readUInt32LE(at + 4)]
    if (command === LC_ID_DYLIB) {
      const name = at + file.readUInt32LE(at + 8)
      const place = file.indexOf(`${from}\0`, name)
      if (place < 0 || place >= at + size)
        throw new TaskError(
          `The library is called '${file.toString('latin1', name, at + size)}', not '${from}'`,
        )
      file.write(to, place, 'latin1')
      return
    }
    at += size
  }
  throw new TaskError('The library has no name')
}
