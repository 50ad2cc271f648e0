import { describe, expect, test } from "vitest";
import { byName, current, found, minutesLeft, newer, older, order, place, runs, urgency } from "./rooms";
import type { Room } from "./api.gen";

const now = 1_000_000, min = 60_000;
const room = (name: string, more: Partial<Room> = {}): Room => ({ id: name.toLowerCase(), name, reached: true, heard: true, library: { revision: "" }, broken: [], ...more });
const session = (name: string, left: number, more: Partial<Room> = {}) => room(name, { stage: "administration", ends_ms: now + left * min, ...more });
const sound: Room["broken"] = [{ part: "sound", since_ms: now - min }];

/** sorted is the names in the order in which they are shown. */
function sorted(rooms: Room[]): string[] {
  const names = new Map([...rooms].sort(byName("en")).map((r, i) => [r.id, i]));
  return [...rooms].sort((a, b) => order(a, b, now, names)).map((r) => r.name);
}

/** every order of these rooms comes out the same */
function shuffles(rooms: Room[]): Room[][] {
  return rooms.map((_, i) => [...rooms.slice(i), ...rooms.slice(0, i)]).flatMap((r) => [r, [...r].reverse()]);
}

describe("the order of the rooms", () => {
  const rooms = [
    session("Broken in session", 90, { broken: sound }),
    session("Gone in session", 80, { reached: false, lost_ms: now - 1 }),
    room("Broken at rest", { broken: sound }),
    room("Gone at rest", { reached: false, lost_ms: now - 1 }),
    session("Ends next", 5),
    session("Ends later", 25),
    session("Stays open", 1, { held: true }),
    room("Room 2"),
    room("Room 10"),
    room("A room never heard", { reached: false, heard: false }),
  ];
  test("is what needs somebody, what ends next, then the others by name", () => {
    for (const some of shuffles(rooms)) expect(sorted(some)).toEqual(rooms.map((r) => r.name));
  });
  test("puts each room into its group", () => {
    expect(rooms.map((r) => place(r, now))).toEqual(["need", "need", "need", "need", "session", "session", "session", "free", "free", "free"]);
  });
  test("several rooms that need somebody go by name", () => {
    expect(sorted([session("b", 1, { broken: sound }), session("a", 50, { broken: sound })])).toEqual(["a", "b"]);
  });
  test("two rooms of one name stand still", () => {
    const two = [{ ...room("Oak"), id: "2" }, { ...room("Oak"), id: "1" }];
    const ids = (r: Room[]) => { const names = new Map([...r].sort(byName("en")).map((x, i) => [x.id, i])); return [...r].sort((a, b) => order(a, b, now, names)).map((x) => x.id); };
    expect(ids(two)).toEqual(["1", "2"]);
    expect(ids(two.reverse())).toEqual(["1", "2"]);
  });
});

test("a session goes on in a room that is not reached, until its end", () => {
  const gone = session("Oak", 10, { reached: false, lost_ms: now });
  expect(runs(gone, now)).toBe(true);
  expect(runs(gone, now + 11 * min)).toBe(false);
  expect(urgency(gone, now + 11 * min)).toBeGreaterThan(urgency(gone, now));
  expect(runs({ ...gone, held: true }, now + 11 * min)).toBe(true); // nobody knows its end
  expect(runs({ ...gone, reached: true }, now + 11 * min)).toBe(true); // it says so itself
});

test("parts of a room that is not reached say nothing", () => {
  expect(urgency(room("Oak", { reached: false, broken: sound }), now)).toBe(3);
});

describe("the clock", () => {
  test("counts minutes down from the end, rounded up", () => {
    const r = session("Oak", 25);
    expect([0, 1, 59_999, min, 24 * min, 24 * min + 1, 25 * min, 26 * min].map((ms) => minutesLeft(r, now + ms))).toEqual([25, 25, 25, 24, 1, 1, 0, 0]);
  });
  test("an end that moves by less than two seconds stays where it was, one that moves by more does not", () => {
    const r = session("Oak", 25);
    expect(newer(r, { ...r, ends_ms: r.ends_ms! + 1999 }).ends_ms).toBe(r.ends_ms);
    expect(newer(r, { ...r, ends_ms: r.ends_ms! - 1999 }).ends_ms).toBe(r.ends_ms);
    expect(newer(r, { ...r, ends_ms: r.ends_ms! + 2000 }).ends_ms).toBe(r.ends_ms! + 2000);
    expect(newer(undefined, r)).toBe(r);
    expect(newer(room("Oak"), r)).toBe(r);
    expect(newer(r, room("Oak")).ends_ms).toBeUndefined();
  });
});

describe("playlists", () => {
  const has = (name: string, revision: string, changed_ms: number) => room(name, { library: { revision, changed_ms } });
  test("those that were changed last are current", () => {
    const rooms = [has("a", "old", 5), has("b", "new", 9), has("c", "new", 9), room("d")];
    expect(current(rooms)).toBe("new");
    expect(rooms.filter((r) => older(r, "new")).map((r) => r.name)).toEqual(["a"]);
  });
  test("where all are the same, or none is known, no room is behind", () => {
    expect(current([has("a", "x", 5), has("b", "x", 9)])).toBe("");
    expect(current([room("a"), { ...room("b"), library: { revision: "" } }])).toBe("");
    expect(older(has("a", "x", 5), "")).toBe(false);
  });
});

test("a search finds by the beginning of each word, without accents", () => {
  const r = room("Grüner Raum 12", { house: "Haus Nord" });
  for (const typed of ["gru", "GRÜNER", "raum 12", "12 nord", "no"]) expect(found(r, typed), typed).toBe(true);
  for (const typed of ["2", "raum 3", "süd", "üner"]) expect(found(r, typed), typed).toBe(false);
});
