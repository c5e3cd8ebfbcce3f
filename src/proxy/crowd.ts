/** Counts what is under way for each cocoon, so that a flood on one takes nothing from the others. */
export class Crowd {
  readonly #seats = new Map<string, Seat>()
  readonly #most: number

  /** @param most  at the same time for one cocoon. */
  constructor(most: number) {
    this.#most = most
  }

  /** Takes a place, to be given back exactly once with `leave`; null = the cocoon has as many as it may. */
  enter(name: string): Seat | null {
    let seat = this.#seats.get(name)
    if (seat === undefined) {
      seat = new Seat(name, this.#seats)
      this.#seats.set(name, seat)
    }
    if (seat.taken >= this.#most) return null
    seat.taken += 1
    return seat
  }
}

/** The places of one cocoon: one object for all of them, since one is taken with every request. */
export class Seat {
  taken = 0
  readonly #name: string
  readonly #seats: Map<string, Seat>

  constructor(name: string, seats: Map<string, Seat>) {
    this.#name = name
    this.#seats = seats
  }

  leave(): void {
    this.taken -= 1
    if (this.taken === 0) this.#seats.delete(this.#name)
  }
}
