/**
 * A timer wheel: which entries may have expired, in time that does not grow with the entries that have not.
 *
 * G. Varghese, T. Lauck: Hashed and hierarchical timing wheels, SOSP 1987.
 */

/** Wheels, one inside the other, of 64 buckets each; a bucket of one wheel is a whole turn of the wheel inside it. */
const WHEELS = 4
const BITS = 6
const BUCKETS = 1 << BITS
const HEADS = WHEELS * BUCKETS
/** Ticks of a bucket of each wheel. */
const WIDTHS = Array.from({ length: WHEELS }, (_, wheel) => BUCKETS ** wheel)
/** Not in any bucket: a `Uint32Array` holds it, and no slot is as large. */
const NOWHERE = 0xffff_ffff

/**
 * Slots by the time at which they are to be looked at, in rings of links.
 *
 * A slot whose time moves later, or that no longer has one, stays where it is: when its bucket comes up it is asked for its
 * time again. So an entry that is set over and over, or whose TTL slides, costs the wheel nothing.
 */
export class Wheel {
  /** Milliseconds of the innermost bucket. */
  readonly #tick: number
  /** The tick since the Unix epoch from which ticks are counted here, so that they are small integers. */
  #origin: number
  /** The tick up to which everything was looked at. */
  #at = 0
  /** Nodes are the heads of the buckets, then the slots. */
  #next = new Uint32Array(HEADS)
  #previous = new Uint32Array(HEADS)
  /** The bucket of each slot that is in one. */
  #bucket = new Uint8Array(0)

  constructor(now: number, tick: number) {
    this.#tick = tick
    this.#origin = Math.floor(now / tick)
    for (let head = 0; head < HEADS; head++) this.#next[head] = this.#previous[head] = head
  }

  /** Makes room for slots up to `slots`, not included. */
  grow(slots: number): void {
    const from = this.#next.length
    this.#next = grown(this.#next, HEADS + slots, from)
    this.#previous = grown(this.#previous, HEADS + slots, from)
    const bucket = new Uint8Array(slots)
    bucket.set(this.#bucket)
    this.#bucket = bucket
  }

  /** Notes that `slot` expires at `time`. */
  schedule(slot: number, time: number): void {
    const node = slot + HEADS
    const due = this.#dueTick(time)
    if (this.#next[node] !== NOWHERE) {
      if (this.#comesUp(this.#bucket[slot]!) <= due) return
      this.#unlink(node)
    }
    this.#link(node, this.#bucketOf(due))
  }

  /**
   * Goes on to `now`, and gives every slot that may be due to `look`, which returns the time at which it really is, or
   * `Infinity` where it has none (any more).
   */
  advance(now: number, look: (slot: number) => number): void {
    const tick = Math.floor(now / this.#tick) - this.#origin
    const to = tick < this.#at - BUCKETS ? this.#goBack(tick) : tick
    const from = this.#at
    if (to < from) return
    this.#at = to
    for (let wheel = WHEELS - 1; wheel >= 0; wheel--) {
      const first = Math.floor(from / WIDTHS[wheel]!)
      const last = Math.floor(to / WIDTHS[wheel]!)
      // The bucket that is under way of the innermost wheel is looked at too, and the others' when they come up.
      const start = wheel === 0 ? first : first + 1
      for (let turn = Math.max(start, last - BUCKETS + 1); turn <= last; turn++) {
        this.#empty(wheel * BUCKETS + (turn % BUCKETS), look)
      }
    }
  }

  /** A clock that was set back: all buckets come up again, so that nothing waits for the time at which they would have. Gives what `to` is from there on. */
  #goBack(to: number): number {
    this.#origin += to
    this.#at = 0
    const soon = this.#bucketOf(0)
    for (let node = HEADS; node < this.#next.length; node++) {
      if (this.#next[node] === NOWHERE) continue
      this.#unlink(node)
      this.#link(node, soon)
    }
    return 0
  }

  /** Looks at all that is in a bucket: what is not due is put where it belongs now. */
  #empty(head: number, look: (slot: number) => number): void {
    let node = this.#next[head]!
    if (node === head) return
    const last = this.#previous[head]!
    for (;;) {
      const next = this.#next[node]!
      this.#unlink(node)
      const time = look(node - HEADS)
      if (time !== Infinity) this.#link(node, this.#bucketOf(this.#dueTick(time)))
      if (node === last) return
      node = next
    }
  }

  /** The tick in which `time` is; at the earliest the present one. */
  #dueTick(time: number): number {
    return Math.max(this.#at, Math.floor(time / this.#tick) - this.#origin)
  }

  #bucketOf(due: number): number {
    const ahead = due - this.#at
    let wheel = 0
    while (wheel < WHEELS - 1 && ahead >= WIDTHS[wheel + 1]!) wheel++
    const width = WIDTHS[wheel]!
    // Beyond the outermost wheel: as far out as it goes, and on from there when that comes up.
    const turn = Math.min(Math.floor(due / width), Math.floor(this.#at / width) + BUCKETS - 1)
    return wheel * BUCKETS + (turn % BUCKETS)
  }

  /** The tick at which a bucket is looked at next. */
  #comesUp(bucket: number): number {
    const width = WIDTHS[bucket >> BITS]!
    const turn = Math.floor(this.#at / width)
    const ahead = ((bucket & (BUCKETS - 1)) - (turn % BUCKETS) + BUCKETS) % BUCKETS
    // Of the outer wheels the present bucket is over; of the innermost it is under way.
    return width * (turn + (ahead === 0 && width > 1 ? BUCKETS : ahead))
  }

  #link(node: number, bucket: number): void {
    const last = this.#previous[bucket]!
    this.#next[last] = node
    this.#previous[node] = last
    this.#next[node] = bucket
    this.#previous[bucket] = node
    this.#bucket[node - HEADS] = bucket
  }

  #unlink(node: number): void {
    const next = this.#next[node]!
    const previous = this.#previous[node]!
    this.#next[previous] = next
    this.#previous[next] = previous
    this.#next[node] = NOWHERE
  }
}

function grown(old: Uint32Array, length: number, from: number): Uint32Array<ArrayBuffer> {
  const array = new Uint32Array(length)
  array.set(old)
  array.fill(NOWHERE, from)
  return array
}
