import { expect, test } from "vitest";
import { brackets, columns, curve, labels, place, scale, whole } from "./arc";
import type { Mark, Phase } from "./protocol";

const phase = (name: string, stage: Phase["stage"], start_ms: number, end_ms: number, light?: number): Phase => ({ name, stage, start_ms, end_ms, held: false, waiting: "", scene: "", level_db: 0, light });
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
  const { line, area } = curve(columns([phase("A", "preparation", 0, 50, 100), phase("B", "preparation", 50, 100, 0)], 100));
  expect(line).toBe("M0 0H500C530 0 530 86 560 86H1000");
  expect(area).toBe(line + "V100H0Z");
  expect(curve([])).toEqual({ line: "", area: "" });
});

test("labels: none is lost where phases are short, none lies on another, and none leaves the picture", () => {
  const em = 1.7; // 20 px on a tablet
  const short = ["Arrival", "Intention", "Onset", "Journey", "Return", "Integration", "Leaving"];
  const got = labels(short.map((name, i) => ({ name, at: [0, 13.9, 22.2, 33.3, 61.1, 72.2, 94.4][i]! })), em);
  expect(got.every(Boolean)).toBe(true);
  expect(got.at(-1)!.at).toBeLessThan(94.4);
  // As an early lozenge leaves them: three begin at nearly the same place, and what is now is never the one without a name.
  const crowd = labels([{ name: "Arrival", at: 0 }, { name: "Intention", at: 1 }, { name: "Journey", at: 2, rank: 1 }], em);
  expect(crowd[2]).toEqual({ at: 2, line: 0 });
  expect(crowd.filter(Boolean).length).toBe(2);
});

test("scale: in minutes from the mark, which is never the one without its name", () => {
  const marks = [mark("Vitals", 38 * 60_000), mark("Lozenge", 40 * 60_000), mark("Spit", 41 * 60_000)];
  const at = (name: string, from: number, to: number) => phase(name, "administration", from * 60_000, to * 60_000);
  const got = scale([at("A", 0, 39), at("B", 39, 60), at("C", 60, 180)], 180 * 60_000, marks, 180 * 60_000, 40 * 60_000, "Lozenge", 1.7);
  expect(got.filter((k) => k.text).map((k) => k.text).sort()).toEqual(["140 min", "20", "Lozenge", "−40"].sort());
  expect(got.filter((k) => k.mark && !k.text).length).toBe(2);
  expect(got.every((k) => k.at >= 0 && k.at <= 100)).toBe(true);
});

test("place moves in steps, and stays on the line", () => {
  expect(place(1000, 10_800_000)).toBe(0);
  expect(place(5_400_000, 10_800_000)).toBe(50);
  expect(place(-5, 100)).toBe(0);
  expect(place(500, 100)).toBe(100);
});
