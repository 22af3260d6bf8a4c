/** What a comparison found: printed as it comes, and counted. */

export class Findings {
  #differences = 0

  get differences(): number {
    return this.#differences
  }

  title(text: string): void {
    console.log(`\n${text}`)
  }

  say(text: string): void {
    console.log(`  ${text}`)
  }

  /** Nothing explains it: the whole comparison fails. */
  differs(text: string): void {
    this.#differences++
    console.log(`  ✗ ${text}`)
  }
}
