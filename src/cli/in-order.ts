/** How many calls run at once: enough to overlap their waits, few enough to be a polite client. */
const LANES = 16

/** Works on all items, a few at a time, and yields each result in the order of the items as soon as it can. */
export async function* inOrder<Item, Result>(
  items: readonly Item[],
  work: (item: Item) => Promise<Result>,
): AsyncGenerator<PromiseSettledResult<Result>> {
  const running: Promise<PromiseSettledResult<Result>>[] = []
  let next = 0
  let done = 0
  const fill = () => {
    for (; next < items.length && next - done < LANES; next++) running.push(settle(items[next] as Item, work))
  }
  for (fill(); done < items.length; fill()) {
    const result = await running[done]
    done++
    if (result !== undefined) yield result
  }
}

async function settle<Item, Result>(
  item: Item,
  work: (item: Item) => Promise<Result>,
): Promise<PromiseSettledResult<Result>> {
  try {
    return { status: 'fulfilled', value: await work(item) }
  } catch (reason) {
    return { status: 'rejected', reason }
  }
}
