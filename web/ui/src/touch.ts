// Which taps count. A finger that bounces, and a finger that was already on its way when the screen changed, do not.

const soon = 400; // ms
const near = 64; // px: one finger

let last = { at: -Infinity, x: 0, y: 0, on: null as EventTarget | null };
let changed = -Infinity;

/** screenChanged is said when other controls are where some were: taps count again 400 ms later. Marks tell tests so. */
export function screenChanged(): void {
  changed = performance.now();
  performance.clearMarks("screen changed");
  performance.mark("screen changed");
}

/** counts says whether a click is meant (none is before from), and remembers where it was. */
export function counts(e: MouseEvent, from = -Infinity): boolean {
  const at = performance.now();
  const finger = e.detail > 0;
  const same = e.currentTarget === last.on || (finger && Math.hypot(e.clientX - last.x, e.clientY - last.y) < near);
  const meant = at >= from && at - changed >= soon && !(same && at - last.at < soon);
  if (!meant) performance.mark("tap refused");
  else last = { at, x: finger ? e.clientX : -1e6, y: finger ? e.clientY : -1e6, on: e.currentTarget };
  return meant;
}

/** held notes a long press as a tap, so that what comes up under the finger is not tapped by it. */
export function held(e: PointerEvent, on: EventTarget): void {
  last = { at: performance.now(), x: e.clientX, y: e.clientY, on };
}

export const holdFor = 1200; // ms
