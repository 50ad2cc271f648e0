// A playlist's file on the page: what was read, what is to be otherwise, and what is sent.

export interface PhaseEdit { was: number; name: string; stage: string; length_ms: number; level_db: number; scene?: string; fade_ms?: number }
export interface Problem { file: string; line?: number; col?: number; source?: string; severity: "error" | "warning"; says: string; write?: string }
export interface PlaylistFile { file: string; revision: string; text: string; phases: PhaseEdit[]; problems: Problem[] }

const stages = ["preparation", "administration", "integration"];

/** changes is what is sent of the phases: each in its new place, with what is otherwise than in the file. */
export function changes(before: PhaseEdit[], now: PhaseEdit[]): Partial<PhaseEdit>[] {
  return now.map((p) => {
    const old = before.find((o) => o.was === p.was)!;
    const out: Partial<PhaseEdit> = { was: p.was };
    if (p.length_ms !== old.length_ms) out.length_ms = p.length_ms;
    if (p.level_db !== old.level_db) out.level_db = p.level_db;
    if (p.scene !== undefined && p.scene !== old.scene) out.scene = p.scene;
    if (p.fade_ms !== undefined && p.scene !== undefined && (p.fade_ms !== old.fade_ms || out.scene !== undefined)) out.fade_ms = p.fade_ms;
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

/** swapped is the phases with one in its neighbour's place. */
export function swapped(phases: PhaseEdit[], i: number, by: -1 | 1): PhaseEdit[] {
  const out = [...phases];
  [out[i], out[i + by]] = [out[i + by]!, out[i]!];
  return out;
}

/** caret is the line under a problem's line, with a mark at its place. Tabs stay, so that both lines have the same width. */
export function caret(p: Problem): string {
  return [...(p.source ?? "")].slice(0, (p.col ?? 1) - 1).map((c) => (c === "\t" ? c : " ")).join("") + "^";
}
