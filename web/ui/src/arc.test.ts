import { expect, test } from "vitest";
import { bars, brackets, columns, curve, flags, place, whole } from "./arc";
import type { Mark, Phase } from "./protocol";

const phase = (name: string, stage: string, start_ms: number, end_ms: number, light?: number): Phase => ({ name, stage, start_ms, end_ms, held: false, waiting: "", scene: "", light });
const phases = [phase("A", "preparation", 0, 20), phase("B", "preparation", 20, 40), phase("C", "administration", 40, 90), phase("D", "integration", 90, 100)];
const mark = (name: string, at_ms: number): Mark => ({ id: name + at_ms, name, at_ms });

test("whole reaches as far as anything does", () => {
  expect(whole(phases, 100)).toBe(100);
  expect(whole(phases, 120)).toBe(120);
  expect(whole(phases, 100, 130)).toBe(130);
  expect(whole([], 0)).toBe(1);
});

test("columns fill the line without a gap", () => {
  const c = columns(phases, 100);
  expect(c.map((x) => [x.at, x.wide])).toEqual([[0, 20], [20, 20], [40, 50], [90, 10]]);
});

test("columns are as high as their light, or else as their stage", () => {
  const [dark, full] = columns([phase("A", "administration", 0, 50, 0), phase("B", "integration", 50, 100, 100)], 100);
  expect(dark!.high).toBe(14);
  expect(full!.high).toBe(100);
  const [prep, , admin, integ] = columns(phases, 100);
  expect(admin!.high).toBeLessThan(prep!.high);
  expect(integ!.high).toBeGreaterThan(prep!.high);
});

test("brackets put phases of a stage together", () => {
  expect(brackets(phases, 100)).toEqual([
    { stage: "preparation", at: 0, wide: 40, from: 0 }, { stage: "administration", at: 40, wide: 50, from: 40 }, { stage: "integration", at: 90, wide: 10, from: 90 },
  ]);
});

test("curve reaches each phase's light within the phase, and comes back to the ground", () => {
  const { line, area } = curve(columns([phase("A", "", 0, 50, 100), phase("B", "", 50, 100, 0)], 100));
  expect(line).toBe("M0 0H500C530 0 530 86 560 86H1000");
  expect(area).toBe(line + "V100H0Z");
  expect(curve([])).toEqual({ line: "", area: "" });
});

test("flags: a name stands right of its mark, else left, else not at all, and never runs into another", () => {
  const got = flags([mark("Vitals", 50), mark("Lozenge", 10), mark("Spit", 52), mark("Note", 99)], 100, 1);
  expect(got.map((f) => [f.name, f.label, f.left])).toEqual([["Lozenge", true, false], ["Vitals", true, true], ["Spit", true, false], ["Note", true, true]]);
  const crowd = flags([mark("Lozenge", 50), mark("Vitals", 51), mark("Spit", 52)], 100, 1);
  expect(crowd.map((f) => [f.label, f.left])).toEqual([[true, true], [false, false], [true, false]]);
});

test("bars keep a sliver of what is too short to see", () => {
  expect(bars([{ title: "x", start_ms: 0, end_ms: 1, bed: false }, { title: "y", start_ms: 1, end_ms: 5000, bed: true }], 10_000)).toEqual([
    { at: 0, wide: 0.3, bed: false, title: "x", odd: false }, { at: 0.01, wide: 49.99, bed: true, title: "y", odd: true },
  ]);
});

test("place moves in steps, and stays on the line", () => {
  expect(place(1000, 10_800_000)).toBe(0);
  expect(place(5_400_000, 10_800_000)).toBe(50);
  expect(place(-5, 100)).toBe(0);
  expect(place(500, 100)).toBe(100);
});
