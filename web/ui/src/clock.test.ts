import { describe, expect, test } from "vitest";
import { median, steady, Sync, untilEdge } from "./clock";

/** ask adds a sample over a way of so many ms there and back, with the room's clock ahead by ahead. */
function ask(s: Sync, at: number, there: number, back: number, ahead: number) {
  s.add(at, at + there + ahead, at + there + 1 + ahead, at + there + 1 + back);
}

describe("Sync", () => {
  test("is exact where both ways take the same time", () => {
    const s = new Sync();
    expect(s.offset).toBeNull();
    ask(s, 1000, 20, 20, 5000);
    expect(s.offset).toBe(5000);
  });

  test("believes the shortest round trip of eight", () => {
    const s = new Sync();
    for (let i = 0; i < 7; i++) ask(s, i * 100, 5, 205, 5000);
    ask(s, 800, 3, 5, 5000);
    expect(s.offset).toBe(4999);
    expect(s.rtt).toBe(8);
  });

  test("takes the median of its windows, so that one bad one does not move it", () => {
    const s = new Sync();
    for (const wrong of [0, 2, 400, 1, 3]) for (let i = 0; i < 8; i++) ask(s, i, 5, 5, 5000 + wrong);
    expect(s.offset).toBe(5002);
  });

  test("stays within a few ms over a busy wifi", () => {
    const s = new Sync();
    let seed = 7;
    const random = () => ((seed = (seed * 48271) % 2147483647) / 2147483647);
    const delay = () => 5 - 40 * Math.log(1 - random());
    for (let i = 0; i < 48; i++) ask(s, i * 1000, delay(), delay(), 123_456);
    expect(Math.abs(s.offset! - 123_456)).toBeLessThan(15);
  });

  test("keeps its result over a lost line until there is a better one", () => {
    const s = new Sync();
    for (let i = 0; i < 8; i++) ask(s, i, 5, 5, 5000);
    s.fresh();
    expect(s.offset).toBe(5000);
    ask(s, 100, 5, 5, 5010);
    expect(s.offset).toBe(5010);
  });

  test("a snapshot only sets a first idea, unless the clock is another one", () => {
    const s = new Sync();
    s.hint(9000, 1000);
    expect(s.offset).toBe(8000);
    for (let i = 0; i < 8; i++) ask(s, i, 5, 5, 8003);
    s.hint(9900, 2000);
    expect(s.offset).toBe(8003);
    s.hint(60_000, 2000); // the computer was started again
    expect(s.offset).toBe(58_000);
  });

  test("a tablet that slept goes on where the room is", () => {
    const s = new Sync();
    for (let i = 0; i < 8; i++) ask(s, i, 5, 5, 5000);
    s.shift(600_000);
    expect(s.offset).toBe(605_000);
  });
});

test("median", () => {
  expect(median([3, 1, 2])).toBe(2);
  expect(median([4, 1, 2, 3])).toBe(2.5);
});

test("steady never goes back by a little, and jumps where it was wrong by much", () => {
  expect(steady(10, 11)).toBe(11);
  expect(steady(10, 9)).toBe(10);
  expect(steady(10, 8)).toBe(10);
  expect(steady(10, 7)).toBe(7);
  expect(steady(10, 40)).toBe(40);
});

test("untilEdge fires just after the next second", () => {
  expect(untilEdge(0)).toBe(1002);
  expect(untilEdge(12_345)).toBe(657);
  expect(untilEdge(-250)).toBe(252);
  expect(untilEdge(999.5)).toBeCloseTo(2.5);
});
