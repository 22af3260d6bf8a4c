/** Where guests of the bench run: labs, each for one guest at a time, all with the same servers. */

import { Lab, type LabOptions } from '../../test/support/lab/index.ts'

export class Labs {
  readonly #options: LabOptions
  readonly #all: Lab[] = []
  readonly #free: Lab[] = []

  constructor(options: LabOptions) {
    this.#options = options
  }

  /** Gives it a lab that nobody else has meanwhile. */
  async use<T>(work: (lab: Lab) => Promise<T>): Promise<T> {
    const lab = this.#free.pop() ?? (await this.#start())
    try {
      return await work(lab)
    } finally {
      this.#free.push(lab)
    }
  }

  async stop(): Promise<void> {
    await Promise.all(this.#all.map((lab) => lab.stop()))
  }

  async #start(): Promise<Lab> {
    const lab = await Lab.start(this.#options)
    this.#all.push(lab)
    return lab
  }
}
