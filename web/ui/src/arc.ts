// The picture of an arc: where on a line of 0 to 100 things lie, and how high.
import type { Mark, Phase } from "./protocol";

export interface Column { name: string; stage: string; at: number; wide: number; high: number; scene: string; from: number; to: number }
export interface Bracket { stage: string; at: number; wide: number; from: number }
/** Label is where a name begins, and on which of two lines. */
export interface Label { at: number; line: number }
export interface Tick { at: number; text: string; mark: boolean }

/** stageHeight draws the way in and out again where the light of a phase is not known. */
const stageHeight: Record<string, number> = { preparation: 62, administration: 34, integration: 80 };

/** whole is the length of the line: to the end of the session, or to now where that is past it. */
export function whole(phases: Phase[], ends: number, now = 0): number {
  return Math.max(1, ends, now, ...phases.map((p) => p.end_ms));
}

const share = (ms: number, of: number) => Math.min(100, Math.max(0, (ms / of) * 100));

/** columns are the phases: as wide as they are long, as high as they are light. */
export function columns(phases: Phase[], of: number): Column[] {
  return phases.map((p) => {
    const at = share(p.start_ms, of);
    const high = p.light === undefined ? (stageHeight[p.stage] ?? 50) : 14 + 0.86 * Math.min(100, Math.max(0, p.light));
    return { name: p.name, stage: p.stage, at, wide: share(p.end_ms, of) - at, high, scene: p.scene, from: p.start_ms, to: p.end_ms };
  });
}

/** brackets are the stages, each over its phases. */
export function brackets(phases: Phase[], of: number): Bracket[] {
  const out: Bracket[] = [];
  for (const c of columns(phases, of)) {
    const last = out.at(-1);
    if (last?.stage === c.stage) last.wide = c.at + c.wide - last.at;
    else out.push({ stage: c.stage, at: c.at, wide: c.wide, from: c.from });
  }
  return out;
}

/** curve is the line over the columns, as an SVG path in a box of 1000 by 100: each phase's light is reached within it,
 * as a fade does, and then kept. area closes it to the ground. */
export function curve(cols: Column[]): { line: string; area: string } {
  if (cols.length === 0) return { line: "", area: "" };
  const n = (v: number) => +v.toFixed(1);
  let high = cols[0]!.high;
  let line = `M${n(cols[0]!.at * 10)} ${n(100 - high)}`;
  for (const c of cols) {
    const from = c.at * 10;
    const to = from + Math.min(60, c.wide * 6);
    if (c.high !== high) line += `C${n((from + to) / 2)} ${n(100 - high)} ${n((from + to) / 2)} ${n(100 - c.high)} ${n(to)} ${n(100 - c.high)}`;
    high = c.high;
    line += `H${n((c.at + c.wide) * 10)}`;
  }
  return { line, area: `${line}V100H${n(cols[0]!.at * 10)}Z` };
}

/** loudness is the line of the phases' levels, in the same box: a step each, from -18 dB at the ground to 6 dB at the top. */
export function loudness(phases: Phase[], of: number): string {
  const n = (v: number) => +v.toFixed(1);
  return phases.map((p, i) => {
    const y = n(100 - Math.min(96, Math.max(4, ((p.level_db ?? 0) + 18) * (100 / 24))));
    return `${i ? "L" : "M"}${n(share(p.start_ms, of) * 10)} ${y}H${n(share(p.end_ms, of) * 10)}`;
  }).join("");
}

/** letter is how wide a letter is, in em. */
const letter = 0.56;

/** fits says whether a name fits in a width, in percent of the line. */
export const fits = (name: string, wide: number, em: number): boolean => (name.length * letter + 0.8) * em <= wide;

/** labels lays out names from left to right on two lines, so that none is lost where phases are short: each begins at its place, or
 * as far left as it has to, to end on the picture. em is the width of an em in percent of the line. A name for which neither line has
 * room is left out; what comes first in rank is laid first. */
export function labels(what: { name: string; at: number; rank?: number }[], em: number): (Label | null)[] {
  const out: (Label | null)[] = what.map(() => null);
  const taken: { from: number; to: number }[][] = [[], []];
  const order = what.map((_, i) => i).sort((a, b) => (what[b]!.rank ?? 0) - (what[a]!.rank ?? 0) || what[a]!.at - what[b]!.at);
  for (const i of order) {
    const wide = (what[i]!.name.length * letter + 0.8) * em;
    const from = Math.max(0, Math.min(what[i]!.at, 100 - wide));
    const line = taken.findIndex((t) => t.every((x) => from >= x.to || from + wide <= x.from));
    if (line < 0) continue;
    taken[line]!.push({ from, to: from + wide });
    out[i] = { at: from, line };
  }
  return out;
}

/** scale is the line under the picture: where phases begin and the session ends, in minutes from zero, and the marks. What lies on
 * something of more weight is left out: the mark that all is told from, then the end, then the rest. */
export function scale(phases: Phase[], ends: number, marks: Mark[], of: number, zero: number, mark: string, em: number): Tick[] {
  const minute = (ms: number) => String(Math.round((ms - zero) / 60_000)).replace("-", "−");
  const first = marks.find((m) => m.name === mark);
  const all: (Tick & { rank: number })[] = [
    ...(first ? [{ at: share(first.at_ms, of), text: mark, mark: true, rank: 3 }] : []),
    { at: share(ends, of), text: `${minute(ends)} min`, mark: false, rank: 2 },
    ...phases.map((p) => ({ at: share(p.start_ms, of), text: minute(p.start_ms), mark: false, rank: 1 })),
    ...marks.filter((m) => m.id !== first?.id).map((m) => ({ at: share(m.at_ms, of), text: "", mark: true, rank: 0 })),
  ];
  const out: Tick[] = [];
  const taken: { from: number; to: number }[] = [];
  for (const { rank, ...k } of all.sort((a, b) => b.rank - a.rank)) {
    const wide = (k.text.length * letter + (k.mark ? 1.1 : 0.3)) * em;
    const from = Math.max(0, Math.min(k.mark ? k.at : k.at - wide / 2, 100 - wide));
    if (k.text && !k.mark && out.some((x) => x.text === k.text)) continue;
    if (k.text && taken.some((t) => from < t.to && from + wide > t.from)) {
      if (!k.mark) continue;
      k.text = "";
    }
    if (k.text) taken.push({ from, to: from + wide });
    else if (!k.mark) continue;
    out.push({ ...k, at: k.text ? from : k.at });
  }
  return out;
}

/** place is where a moment is, in steps too small to be seen, so that a picture that does not move is not drawn anew. */
export function place(ms: number, of: number): number {
  return Math.round(share(ms, of) * 20) / 20;
}
