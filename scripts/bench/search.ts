/** Finds the least of a list that is enough, where each look is dear: a boot. */

/** The first of the ascending sizes that is enough; undefined where none is. Looks around `guess`, in growing strides, then halves. */
export async function least(
  ascending: readonly number[],
  guess: number,
  enough: (size: number) => Promise<boolean>,
): Promise<number | undefined> {
  // Those before `low` are too few; that at `high` is enough, or there is none.
  let [low, high] = [0, ascending.length]
  let next = ascending.findIndex((size) => size >= guess)
  for (let stride = 1; low < high; stride *= 2) {
    const at = next >= low && next < high ? next : Math.floor((low + high) / 2)
    if (await enough(ascending[at] ?? 0)) {
      high = at
      next = at - stride
    } else {
      low = at + 1
      next = at + stride
    }
  }
  return ascending[high]
}
