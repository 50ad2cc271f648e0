import { expect, test } from "vitest";
import { caret, changes, moves, same, swapped, type PhaseEdit } from "./edit";

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
