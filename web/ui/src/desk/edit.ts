// A playlist's file on the page: what was read, what is to be otherwise, and what is sent.
import type { File, FilePhase, FileProblem, MusicEntry, PhaseEdit as Change } from "../api.gen";
import { signed } from "../format";

/** Entry is one entry of a phase's music: one that the file has (was), or a new file, bed or silence. */
export type Entry = MusicEntry;
export type PhaseEdit = FilePhase;
export type Problem = FileProblem;
export type PlaylistFile = File;
export type { Version } from "../api.gen";

const stages = ["preparation", "administration", "integration"];

/** sent is an entry as the room takes it. */
const sent = (e: Entry): Entry => (e.was !== undefined ? { was: e.was } : e.bed ? { bed: e.bed } : e.silence ? { silence: true } : { file: e.file });

const sameMusic = (before: Entry[], now: Entry[]) => before.length === now.length && now.every((e, i) => e.was === i);

/** changes is what is sent of the phases: each in its new place, with what is otherwise than in the file. */
export function changes(before: PhaseEdit[], now: PhaseEdit[]): Change[] {
  return now.map((p) => {
    const old = before.find((o) => o.was === p.was)!;
    const out: Change = { was: p.was };
    if (p.length_ms !== old.length_ms) out.length_ms = p.length_ms;
    if (p.level_db !== old.level_db) out.level_db = p.level_db;
    if (p.scene !== undefined && p.scene !== old.scene) out.scene = p.scene;
    if (p.fade_ms !== undefined && p.scene !== undefined && (p.fade_ms !== old.fade_ms || out.scene !== undefined)) out.fade_ms = p.fade_ms;
    if (!sameMusic(old.music ?? [], p.music ?? [])) out.music = (p.music ?? []).map(sent);
    return out;
  });
}

/** same says whether nothing is to be otherwise. */
export function same(before: PhaseEdit[], now: PhaseEdit[]): boolean {
  return changes(before, now).every((c, i) => c.was === i && Object.keys(c).length === 1);
}

/** moves says whether a phase may change places with its neighbour: the stages keep their order. */
export function moves(phases: PhaseEdit[], i: number, by: -1 | 1): boolean {
  const a = phases[i], b = phases[i + by];
  return a !== undefined && b !== undefined && stages.indexOf(a.stage) === stages.indexOf(b.stage);
}

/** swapped is the list with one in its neighbour's place. */
export function swapped<T>(list: T[], i: number, by: -1 | 1): T[] {
  const out = [...list];
  [out[i], out[i + by]] = [out[i + by]!, out[i]!];
  return out;
}

/** withMusic is a phase's music with more at its end, or more instead of it. Silence is alone in its phase. */
export function withMusic(was: Entry[], more: Entry[], instead = false): Entry[] {
  const silence = more.find((e) => e.silence);
  if (silence) return [silence];
  return [...(instead ? [] : was.filter((e) => !e.silence)), ...more];
}

const what = (e: Entry) => e.file ?? e.bed ?? "silence";

/** rebased is what was changed, on a file that was changed elsewhere meanwhile. Phases are known by their names; lost are those that
 * were changed here and are not there any more. */
export function rebased(before: PhaseEdit[], mine: PhaseEdit[], theirs: PhaseEdit[]): { phases: PhaseEdit[]; lost: string[] } {
  const names = (l: PhaseEdit[]) => l.map((p) => p.name);
  const moved = names(before).join("\n") !== names(mine).join("\n");
  const whole = [...names(mine)].sort().join("\n") === [...names(theirs)].sort().join("\n");
  const out = theirs.map((p) => {
    const k = mine.findIndex((m) => m.name === p.name);
    if (k < 0) return { ...p };
    const change = changes(before, [mine[k]!])[0]!;
    const now: PhaseEdit = { ...p, ...change, was: p.was, music: p.music };
    if (change.music) {
      const free = [...(p.music ?? [])];
      now.music = mine[k]!.music!.map((e) => {
        if (e.was === undefined) return e;
        const there = free.findIndex((f) => what(f) === what(e));
        return there >= 0 ? free.splice(there, 1)[0]! : { ...e, was: undefined };
      });
    }
    return now;
  });
  const changed = changes(before, mine).filter((c) => Object.keys(c).length > 1);
  const lost = changed.map((c) => before.find((b) => b.was === c.was)!.name).filter((n) => !names(theirs).includes(n));
  if (moved && whole) out.sort((a, b) => names(mine).indexOf(a.name) - names(mine).indexOf(b.name));
  return { phases: out, lost };
}

/** Difference is what is otherwise in a phase: in an earlier version, and now. */
export interface Difference { phase: string; kind: "gone" | "added" | "order" | "stage" | "length" | "level" | "scene" | "fade" | "music"; was: string; now: string }

/** differences is what is otherwise now than it was, phase by phase. say is an entry of music in words. */
export function differences(was: PhaseEdit[], now: PhaseEdit[], say: (e: Entry) => string): Difference[] {
  const out: Difference[] = [];
  const min = (ms?: number) => (ms === undefined ? "–" : span(ms));
  const music = (p: PhaseEdit) => (p.music ?? []).map(say).join(", ") || "–";
  for (const a of was) {
    const b = now.find((p) => p.name === a.name);
    const add = (kind: Difference["kind"], x: string, y: string) => x !== y && out.push({ phase: a.name, kind, was: x, now: y });
    if (!b) {
      out.push({ phase: a.name, kind: "gone", was: min(a.length_ms), now: "" });
      continue;
    }
    add("stage", a.stage, b.stage);
    add("length", min(a.length_ms), min(b.length_ms));
    add("level", `${signed(a.level_db)} dB`, `${signed(b.level_db)} dB`);
    add("scene", a.scene ?? "–", b.scene ?? "–");
    add("fade", min(a.fade_ms), min(b.fade_ms));
    add("music", music(a), music(b));
  }
  for (const b of now) if (!was.some((p) => p.name === b.name)) out.push({ phase: b.name, kind: "added", was: "", now: min(b.length_ms) });
  const shared = (l: PhaseEdit[], other: PhaseEdit[]) => l.map((p) => p.name).filter((n) => other.some((o) => o.name === n)).join(", ");
  if (shared(was, now) !== shared(now, was)) out.push({ phase: "", kind: "order", was: shared(was, now), now: shared(now, was) });
  return out;
}

/** base is the last part of a path, without a slash behind it. */
export const base = (file: string) => file.split("/").filter(Boolean).at(-1) ?? file;

/** named is a file by its name: without its ending, and without the number before it. */
export const named = (file: string) => base(file).replace(/\.\w{2,4}$/, "").replace(/^\d{1,3}[ ._-]+(?=\S)/, "");

/** sentence begins with a capital and ends with a full stop. */
export const sentence = (s: string) => (s ? s[0]!.toUpperCase() + s.slice(1) + (/[.?!]$/.test(s) ? "" : ".") : "");

/** caret is the line under a problem's line, with a mark at its place. Tabs stay, so that both lines have the same width. */
export function caret(p: Problem): string {
  return [...(p.source ?? "")].slice(0, (p.col ?? 1) - 1).map((c) => (c === "\t" ? c : " ")).join("") + "^";
}

/** span is how long something lasts: 26 s, 3 min 30 s, 12 min, 1 h 04 min. */
export function span(ms: number): string {
  const s = Math.round(ms / 1000), h = Math.floor(s / 3600), m = Math.floor(s / 60) % 60;
  if (h) return m || s % 60 ? `${h} h ${String(m).padStart(2, "0")} min` + (s % 60 ? ` ${s % 60} s` : "") : `${h} h`;
  return [m ? `${m} min` : "", s % 60 || !m ? `${s % 60} s` : ""].filter(Boolean).join(" ");
}
