// The room's clock, as far as a tablet can know it. All times in milliseconds.

interface Sample { offset: number; rtt: number }

const burst = 8;
const windows = 5;
const another = 5000; // a clock that is this far off is another one: the room's computer was started again

/** Sync estimates what the room's clock is ahead of this tablet's: of each eight samples the one with the shortest
 * round trip, and of the last five of those the median. Round trips that take longer one way than the other mislead
 * it by half the difference, which no filter can see. */
export class Sync {
  private samples: Sample[] = [];
  private bests: Sample[] = [];
  private rough: number | null = null;
  /** rtt is the best of the last window's round trips; null before the first. */
  rtt: number | null = null;

  /** add takes one answer: asked at t0 and heard at t3 here, taken at t1 and answered at t2 there. */
  add(t0: number, t1: number, t2: number, t3: number): void {
    const sample = { offset: (t1 + t2 - t0 - t3) / 2, rtt: Math.max(0, t3 - t0 - (t2 - t1)) };
    this.samples.push(sample);
    if (this.samples.length < burst) return;
    const best = shortest(this.samples);
    this.samples = [];
    this.rtt = best.rtt;
    this.bests.push(best);
    if (this.bests.length > windows) this.bests.shift();
  }

  /** hint takes what a snapshot says, good to a way's delay: for a first idea, and to see that it is another clock. */
  hint(room: number, here: number): void {
    const known = this.offset;
    if (known !== null && Math.abs(known - (room - here)) < another) return;
    this.fresh();
    this.rtt = null;
    this.rough = room - here;
  }

  /** fresh forgets what was measured over the last connection; until there is better, its result stands. */
  fresh(): void {
    this.rough = this.offset;
    this.samples = [];
    this.bests = [];
  }

  /** shift moves what is known by a time that this tablet slept and its clock did not count. */
  shift(by: number): void {
    const known = this.offset;
    this.fresh();
    if (known !== null) this.rough = known + by;
  }

  get offset(): number | null {
    if (this.bests.length > 0) return median(this.bests.map((b) => b.offset));
    if (this.samples.length > 0) return shortest(this.samples).offset;
    return this.rough;
  }
}

function shortest(samples: Sample[]): Sample {
  return samples.reduce((a, b) => (b.rtt < a.rtt ? b : a));
}

export function median(of: number[]): number {
  const s = [...of].sort((a, b) => a - b);
  const mid = s.length >> 1;
  return s.length % 2 ? s[mid]! : (s[mid - 1]! + s[mid]!) / 2;
}

/** steady is the second to show after shown: a clock that is corrected by a little waits instead of going back, one
 * that was wrong by more than two seconds jumps. */
export function steady(shown: number, next: number): number {
  return next < shown && shown - next <= 2 ? shown : next;
}

/** untilEdge is how long to wait for the next whole second after ms, and never so little that it fires before it. */
export function untilEdge(ms: number): number {
  return 1000 - (((ms % 1000) + 1000) % 1000) + 2;
}
