import { expect, test } from "vitest";
import { caret, changes, differences, moves, named, rebased, same, span, swapped, withMusic, type Entry, type PhaseEdit } from "./edit";

const phase = (was: number, stage: string, more: Partial<PhaseEdit> = {}): PhaseEdit => ({ was, name: "P" + was, stage, length_ms: 60000, level_db: 0, ...more });
const before = [phase(0, "preparation", { scene: "dusk", fade_ms: 5000 }), phase(1, "administration"), phase(2, "administration"), phase(3, "integration")];

test("what is the same is not sent", () => {
  expect(changes(before, before)).toEqual([{ was: 0 }, { was: 1 }, { was: 2 }, { was: 3 }]);
  expect(same(before, before)).toBe(true);
  expect(same(before, swapped(before, 1, 1))).toBe(false);
});

test("only what is otherwise is sent", () => {
  const now = before.map((p) => ({ ...p }));
  now[0]!.fade_ms = 9000;
  now[1]!.scene = "dim";
  now[1]!.fade_ms = 60000;
  now[2]!.level_db = -3;
  now[3]!.length_ms = 120000;
  expect(changes(before, now)).toEqual([{ was: 0, fade_ms: 9000 }, { was: 1, scene: "dim", fade_ms: 60000 }, { was: 2, level_db: -3 }, { was: 3, length_ms: 120000 }]);
});

test("a fade without a scene is not sent: there would be nothing to fade to", () => {
  expect(changes(before, before.map((p) => (p.was === 1 ? { ...p, fade_ms: 1000 } : p)))[1]).toEqual({ was: 1 });
});

test("phases change places within their stage only", () => {
  expect([0, 1, 2, 3].map((i) => [moves(before, i, -1), moves(before, i, 1)])).toEqual([[false, false], [false, true], [true, false], [false, false]]);
  expect(swapped(before, 2, -1).map((p) => p.was)).toEqual([0, 2, 1, 3]);
});

test("the caret stands under its place", () => {
  expect(caret({ file: "x", line: 1, col: 4, source: "a\tbc", severity: "error", says: "" })).toBe(" \t ^");
  expect(caret({ file: "x", severity: "error", says: "" })).toBe("^");
});

const music = (...files: string[]): Entry[] => files.map((file, was) => ({ was, file }));

test("music is sent when it is otherwise: what stays by its place, what is new by its name", () => {
  const old = [phase(0, "preparation", { music: music("a", "b") }), phase(1, "integration")];
  const now = [{ ...old[0]!, music: [old[0]!.music![1]!, { file: "new/", title: "New", tracks: 3 }, { bed: "rain" as const }, { silence: true }] }, { ...old[1]!, music: [] }];
  expect(changes(old, now)).toEqual([{ was: 0, music: [{ was: 1 }, { file: "new/" }, { bed: "rain" }, { silence: true }] }, { was: 1 }]);
  expect(same(old, now)).toBe(false);
});

test("silence is alone in its phase", () => {
  expect(withMusic(music("a"), [{ silence: true }])).toEqual([{ silence: true }]);
  expect(withMusic([{ was: 0, silence: true }], [{ file: "a" }])).toEqual([{ file: "a" }]);
  expect(withMusic(music("a"), [{ file: "b" }], true)).toEqual([{ file: "b" }]);
});

test("changes are put on a file that was changed elsewhere", () => {
  const base = [phase(0, "preparation", { music: music("a", "b") }), phase(1, "administration"), phase(2, "administration")];
  const mine = [{ ...base[0]!, length_ms: 1000, music: [base[0]!.music![1]!, { file: "c" }] }, { ...base[2]! }, { ...base[1]!, level_db: -2 }];
  // There a track was put before the others, a phase is longer, and they are the same phases.
  const theirs = [phase(0, "preparation", { music: music("z", "a", "b") }), phase(1, "administration", { length_ms: 5000 }), phase(2, "administration")];
  const { phases, lost } = rebased(base, mine, theirs);
  expect(lost).toEqual([]);
  expect(changes(theirs, phases)).toEqual([{ was: 0, length_ms: 1000, music: [{ was: 2 }, { file: "c" }] }, { was: 2 }, { was: 1, level_db: -2 }]);
  expect(phases[2]!.length_ms).toBe(5000);
  // One that is gone there is said by its name.
  expect(rebased(base, mine, [phase(0, "preparation"), phase(1, "administration", { name: "P2" })]).lost).toEqual(["P1"]);
});

test("what a version has otherwise is told phase by phase", () => {
  const was = [phase(0, "preparation", { scene: "dusk", fade_ms: 60000, music: music("a") }), phase(1, "administration"), phase(2, "administration")];
  const now = [phase(0, "preparation", { length_ms: 120000, level_db: -3, scene: "dim", fade_ms: 60000, music: music("a", "b") }), phase(2, "administration"), phase(3, "integration")];
  expect(differences(was, was, (e) => e.file!)).toEqual([]);
  expect(differences(was, now, (e) => e.file!).map((d) => [d.phase, d.kind, d.was, d.now])).toEqual([
    ["P0", "length", "1 min", "2 min"], ["P0", "level", "0 dB", "−3 dB"], ["P0", "scene", "dusk", "dim"], ["P0", "music", "a", "a, b"], ["P1", "gone", "1 min", ""], ["P3", "added", "", "1 min"],
  ]);
  expect(differences(was, [was[0]!, was[2]!, was[1]!], (e) => e.file!)).toEqual([{ phase: "", kind: "order", was: "P0, P1, P2", now: "P0, P2, P1" }]);
});

test("a file by its name", () => {
  expect(["music/Arvo/01 Spiegel.flac", "a/1999.mp3", "a/12-b.ogg", "Vol. 2/", "03.flac"].map(named)).toEqual(["Spiegel", "1999", "b", "Vol. 2", "03"]);
});

test("how long, in words", () => {
  expect([0, 26_000, 720_000, 210_000, 3_840_000, 3_600_000, 3_605_000].map(span)).toEqual(["0 s", "26 s", "12 min", "3 min 30 s", "1 h 04 min", "1 h", "1 h 00 min 5 s"]);
});
