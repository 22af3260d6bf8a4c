/**
 * Commits are asked for without waiting for the answer of the one before: the host does them in the order in which they
 * were asked for. Only a script has to wait, which may look at every file that was there before it.
 */

export class Commits {
  #last: Promise<void> = Promise.resolve()
  #failure: { readonly cause: unknown } | undefined

  /** Calls `done` with the answer, in the order of the commits. Throws what one before it failed with, if that is known. */
  ask<T>(commit: () => Promise<T>, done: (answer: T) => void): void {
    this.#throwFailure()
    const answer = commit()
    // Whoever waits is told, and perhaps nobody does yet.
    answer.catch(() => {})
    this.#last = this.#settle(this.#last, answer, done)
  }

  async #settle<T>(before: Promise<void>, answer: Promise<T>, done: (answer: T) => void): Promise<void> {
    await before
    try {
      const given = await answer
      if (this.#failure === undefined) done(given)
    } catch (cause) {
      this.#failure ??= { cause }
    }
  }

  /** Resolves when all that were asked for are done; rejects with the first failure. */
  async done(): Promise<void> {
    await this.#last
    this.#throwFailure()
  }

  /** Resolves when nothing is under way any more, whatever became of it. */
  async ended(): Promise<void> {
    await this.#last
  }

  #throwFailure(): void {
    if (this.#failure !== undefined) throw this.#failure.cause
  }
}
