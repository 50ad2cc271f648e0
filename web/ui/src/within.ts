/** within is a signal that gives a request up after so many milliseconds. AbortSignal.timeout is not in iPadOS 15. */
export function within(ms: number): AbortSignal {
  const c = new AbortController();
  setTimeout(() => c.abort(), ms);
  return c.signal;
}
