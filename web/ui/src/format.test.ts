import { expect, test } from "vitest";
import { about, clock, hms, length, minutes, onDay, signed, wall, when } from "./format";
import { words } from "./texts.svelte";

test("clock", () => {
  expect(clock(0)).toBe("0:00:00");
  expect(clock(59.99)).toBe("0:00:59");
  expect(clock(5047)).toBe("1:24:07");
  expect(clock(-3)).toBe("0:00:00");
});

test("hms leaves out hours that are not there", () => {
  expect(hms(7)).toBe("0:07");
  expect(hms(3599)).toBe("59:59");
  expect(hms(3600)).toBe("1:00:00");
});

test("length", () => {
  expect(length(600)).toBe("10 min");
  expect(length(10_800)).toBe("3 h");
  expect(length(90)).toBe("1 min 30 s");
  expect(length(754)).toBe("13 min");
  expect(length(8400)).toBe("2 h 20 min");
});

test("about", () => {
  expect(about(12)).toBe("12 s");
  expect(about(719)).toBe("11 min");
  expect(about(3840)).toBe("1 h 04 min");
});

test("signed has a true minus, and no minus zero", () => {
  expect(signed(1)).toBe("+1");
  expect(signed(-2.5)).toBe("−2.5");
  expect(signed(-0.01)).toBe("0");
});

test("signed has the comma of the language", () => {
  const written = { en: "−2.5", de: "−2,5", fr: "−2,5", es: "−2,5", nl: "−2,5" };
  for (const [language, text] of Object.entries(written)) {
    words.language = language as keyof typeof written;
    expect(signed(-2.5), language).toBe(text);
  }
  words.language = "en";
});

test("minutes", () => {
  expect(minutes(-29_000)).toBe(0);
  expect(minutes(-290_000)).toBe(-5);
  expect(minutes(600_000)).toBe(10);
});

test("wall is the local time of day", () => {
  expect(wall(new Date(2026, 2, 3, 7, 5, 59).getTime())).toBe("07:05");
});

test("how long ago and how soon, in words", () => {
  const noon = new Date(2026, 4, 4, 12).getTime(), h = 3_600_000;
  const ago = [0, 59_000, 5 * 60_000, 3 * h, 13 * h, 70 * h].map((ms) => when(-ms, "just now", noon));
  expect(ago).toEqual(["just now", "just now", "5 minutes ago", "3 hours ago", "yesterday", "3 days ago"]);
  expect([20_000, 3 * h, 29.5 * 24 * h].map((ms) => when(ms, "", noon))).toEqual(["in 1 minute", "in 3 hours", "in 30 days"]);
  expect(["2026-05-04", "2026-05-03", "2026-04-04", "2026-05-10"].map((d) => onDay(d, noon))).toEqual(["today", "yesterday", "30 days ago", "in 6 days"]);
  words.language = "de";
  expect([when(-24 * h, "", noon), onDay("2026-05-05", noon)]).toEqual(["gestern", "morgen"]);
  words.language = "en";
});
