import { expect, test, vi } from "vitest";
import { within } from "./within";

test("a request is given up in a browser without AbortSignal.timeout", () => {
  vi.useFakeTimers();
  vi.stubGlobal("AbortSignal", class {}); // as in iPadOS 15
  const signal = within(3000);
  vi.advanceTimersByTime(2999);
  expect(signal.aborted).toBe(false);
  vi.advanceTimersByTime(1);
  expect(signal.aborted).toBe(true);
  vi.unstubAllGlobals();
  vi.useRealTimers();
});

test("the page calls nothing that iPadOS 15.8 lacks", () => {
  const lacks = /AbortSignal\.(timeout|any)|\.to(Sorted|Reversed|Spliced)\(|Promise\.withResolvers|(Object|Map)\.groupBy|Array\.fromAsync/;
  const files = import.meta.glob<string>(["./**/*.{ts,svelte}", "!./**/*.test.ts", "!./within.ts"], { query: "?raw", import: "default", eager: true });
  expect(Object.keys(files).length).toBeGreaterThan(30);
  for (const [file, text] of Object.entries(files)) expect(lacks.exec(text)?.[0], file).toBe(undefined);
});
