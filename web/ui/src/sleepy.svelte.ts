// What is rarely used sleeps when nobody has touched the screen for a while. The touch that wakes it does nothing else.

/** sleepy returns a state that falls asleep after ms without wake. down and click are for the part that sleeps, in the capture phase. */
export function sleepy(ms: number) {
  let asleep = $state(false);
  let waking = false;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const wake = () => {
    asleep = false;
    clearTimeout(timer);
    timer = setTimeout(() => (asleep = true), ms);
  };
  $effect(() => {
    wake();
    return () => clearTimeout(timer);
  });
  return {
    get asleep() { return asleep; },
    wake,
    down(e: PointerEvent) {
      waking = asleep;
      if (waking) e.stopPropagation();
      if (waking) wake();
    },
    click(e: MouseEvent) {
      if (!waking) return;
      waking = false;
      if (e.detail === 0) return; // a keyboard
      e.stopPropagation();
      e.preventDefault();
      performance.mark("tap refused");
    },
  };
}
