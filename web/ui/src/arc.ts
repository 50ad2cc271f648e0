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

/** flags are the marks. One whose name would run into the next mark's is drawn without it; at the right end names
 * stand to the left of their mark. room is how much of the line a letter takes. */
export function flags(marks: Mark[], of: number, room = 1.15): Flag[] {
  const out: Flag[] = [...marks].sort((a, b) => a.at_ms - b.at_ms).map((m) => ({ id: m.id, name: m.name, at: share(m.at_ms, of), label: true, left: false }));
  let free = Infinity; // from the right: where the next name to the right begins
  for (const f of out.reverse()) {
    const wide = (f.name.length + 2) * room;
    f.left = f.at + wide > 100;
    if (f.left) {
      f.label = free > f.at && f.at - wide >= 0;
      free = Math.min(free, f.label ? f.at - wide : f.at - 1);
    } else {
      f.label = f.at + wide <= free;
      free = f.at - 1;
    }
  }
  return out.reverse();
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
