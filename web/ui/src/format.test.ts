import { expect, test } from "vitest";
import { about, clock, hms, length, minutes, signed, wall } from "./format";
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
  expect(length(90)).toBe("1:30 min");
  expect(length(754)).toBe("13 min");
  expect(length(8400)).toBe("2 h 20 min");
});

test("about", () => {
  expect(about(12)).toBe("12 s");
  expect(about(719)).toBe("11 min");
  expect(about(3840)).toBe("1 h 04");
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
