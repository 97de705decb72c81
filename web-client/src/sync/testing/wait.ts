// Waiting on conditions, never on time.

export const sleep = (ms: number): Promise<void> => new Promise(resolve => setTimeout(resolve, ms))

/** Waits until `holds()`. Fails with `what`, and with what `seen()` tells, after `withinMs`. */
export async function until(
  what: string,
  holds: () => boolean | Promise<boolean>,
  { withinMs = 20_000, seen = () => '' }: { withinMs?: number; seen?: () => string } = {}
): Promise<void> {
  // Not `Date`: a machine may set its clock meanwhile.
  const end = performance.now() + withinMs
  while (!(await holds())) {
    if (end < performance.now()) throw new Error(`waited ${withinMs} ms in vain: ${what}; seen: ${seen()}`)
    await sleep(3)
  }
}
