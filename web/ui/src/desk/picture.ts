// A playlist's arc as it is foreseen, drawn: what GET /api/v1/playlists/{id}/arc tells, as lines and boxes of a picture that
// is 1000 wide. Times are ms of the session.

import type { Arc, ArcClip, ArcLight } from "../api.gen";

export type { ArcClip, ArcLight, ArcPhase, ArcJoin as Join } from "../api.gen";
export type ArcView = Arc;

const n = (v: number) => +v.toFixed(1);
const x = (ms: number, of: number) => n((ms / Math.max(1, of)) * 1000);

/** range is what is drawn of the loudness, LUFS: a little over the loudest, and 30 LU down from there at least. */
export function range(v: ArcView): { low: number; high: number } {
  const top = Math.max(-60, ...v.loudness.short_term, ...v.phases.map((p) => p.target));
  const high = Math.ceil((top + 2) / 5) * 5;
  return { low: high - 40, high };
}

/** loud is the loudness over time, as an area of a box that is 100 high. */
export function loud(v: ArcView): string {
  const { low, high } = range(v);
  const y = (l: number) => n(100 - (100 * (Math.min(high, Math.max(low, l)) - low)) / (high - low));
  const step = v.loudness.step_ms;
  const points = v.loudness.short_term.map((l, k) => `L${x(Math.min(v.end_ms, (k + 0.5) * step), v.end_ms)} ${y(l)}`);
  return `M0 100${points.join("")}L1000 100Z`;
}

/** targets is how loud each phase's music is meant to be, in the same box: a line for each. */
export function targets(v: ArcView): string {
  const { low, high } = range(v);
  return v.phases.filter((p) => !p.silence).map((p) => `M${x(p.start_ms, v.end_ms)} ${n(100 - (100 * (p.target - low)) / (high - low))}H${x(p.end_ms, v.end_ms)}`).join("");
}

/** Strip is a clip: a box whose slanted ends are its fades. Clips that sound together lie in different rows. */
export interface Strip { clip: ArcClip; row: 0 | 1; from: number; to: number; shape: string }

export function strips(v: ArcView): Strip[] {
  const rows: number[] = [-1, -1]; // where each ends
  return v.clips.map((clip) => {
    const from = x(clip.start_ms, v.end_ms), to = Math.max(from + 1.5, x(clip.end_ms, v.end_ms));
    const row = (clip.cover === "under" ? 1 : rows[0]! <= from ? 0 : rows[1]! <= from ? 1 : rows[0]! <= rows[1]! ? 0 : 1) as 0 | 1;
    if (clip.cover !== "under") rows[row] = to;
    const most = (to - from) / 2;
    const rise = Math.min(most, x(clip.fade_in_ms, v.end_ms)), fall = Math.min(most, x(clip.fade_out_ms, v.end_ms));
    return { clip, row, from, to, shape: `M${n(from)} 100L${n(from + rise)} 0H${n(to - fall)}L${n(to)} 100Z` };
  });
}

/** flexes are where a phase's end may be moved to meet a track's own. */
export function flexes(v: ArcView): { from: number; wide: number }[] {
  return v.phases.filter((p) => p.flex_ms > 0).map((p) => {
    const from = Math.max(0, p.plan_ms - p.flex_ms);
    return { from: x(from, v.end_ms), wide: n(x(Math.min(v.end_ms, p.plan_ms + p.flex_ms), v.end_ms) - x(from, v.end_ms)) };
  });
}

/** light is a role's L* over time, in a box that is 100 high. */
export function light(v: ArcView, l: ArcLight): string {
  const line = l.points.map((p) => `${x(p.at_ms, v.end_ms)} ${n(100 - p.level)}`);
  return line.length ? `M${line.join("L")}H1000` : "";
}

/** sounding is what is heard at a moment: the last track that has begun, else the bed. */
export function sounding(v: ArcView, ms: number): ArcClip | undefined {
  const here = v.clips.filter((c) => c.start_ms <= ms && ms < c.end_ms && c.cover !== "under");
  return here.at(-1);
}
