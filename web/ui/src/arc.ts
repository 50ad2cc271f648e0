// The picture of an arc: where on a line of 0 to 100 things lie, and how high.
import type { Clip, Mark, Phase } from "./protocol";

export interface Column { name: string; stage: string; at: number; wide: number; high: number; scene: string; from: number; to: number }
export interface Bracket { stage: string; at: number; wide: number; from: number }
export interface Flag { id: string; name: string; at: number; label: boolean; left: boolean }
export interface Bar { at: number; wide: number; bed: boolean; title: string; odd: boolean }

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

/** flags are the marks, their names to the right or, where that would run into the next one, to the left; where there
 * is room for neither, without. letter is how much of the line a letter takes. */
export function flags(marks: Mark[], of: number, letter = 1.15): Flag[] {
  const out: Flag[] = [...marks].sort((a, b) => a.at_ms - b.at_ms).map((m) => ({ id: m.id, name: m.name, at: share(m.at_ms, of), label: false, left: false }));
  let taken = 0; // up to here, from the left
  out.forEach((f, i) => {
    const wide = (f.name.length + 2) * letter;
    const next = out[i + 1]?.at ?? 100 + letter;
    if (f.at + wide <= next - letter) {
      f.label = true;
      taken = f.at + wide;
    } else {
      f.left = f.label = f.at - wide >= taken;
      taken = f.at + letter;
    }
  });
  return out;
}

/** bars are what sounds when. What would be too thin to see keeps a sliver. */
export function bars(clips: Clip[], of: number): Bar[] {
  return clips.map((c, i) => {
    const at = share(c.start_ms, of);
    return { at, wide: Math.max(0.3, share(c.end_ms, of) - at), bed: c.bed, title: c.title, odd: i % 2 === 1 };
  });
}

/** at is where a moment is, in steps too small to be seen, so that a picture that does not move is not drawn anew. */
export function place(ms: number, of: number): number {
  return Math.round(share(ms, of) * 20) / 20;
}
