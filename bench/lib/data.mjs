import { permutation, randomFrom } from './random.mjs'

/** `count` string keys, made before the clock starts: building strings is not what is measured. The order has nothing to do with time. */
export function keysFor(count) {
  const ids = permutation(count, 11)
  return Array.from(ids, (id) => `user:${String(id).padStart(8, '0')}:profile`)
}

const WORDS =
  'active,admin,amount,balance,city,created,email,false,id,items,name,null,price,tags,true,updated,user'.split(
    ',',
  )

/**
 * `count` buffers of `size` bytes, no two alike: JSON-like text with numbers in it, as a cache of results holds. It can be
 * compressed to about half; tierce does so by default, where it pays, and the peers store it as it is, as they do by default.
 */
export function valuesFor(count, size) {
  const random = randomFrom(23)
  return Array.from({ length: count }, () => {
    let text = '{'
    while (text.length < size) {
      const word = WORDS[Math.floor(random() * WORDS.length)]
      text += `"${word}":${Math.floor(random() * 1e9)},`
    }
    return Buffer.from(text.slice(0, size), 'latin1')
  })
}
