/** Whole caches and streams: check, backup, save, load, setStream, getStream. */
export { check } from '../manage.js'
export { backup, load, save } from '../transfer.js'
export { checkSource, getStream, setStream } from '../verbs/streams.js'
