import { beforeAll, expect, test, vi } from "vitest";
import { words } from "../texts.svelte";
import { often } from "./cron";

beforeAll(async () => {
  vi.stubGlobal("document", { documentElement: { lang: "" } });
  vi.stubGlobal("localStorage", { getItem: () => null, setItem: () => {} });
  await words.desk();
});

test.each([
  ["15 8 * * MON-FRI", "weekdays at 8:15", "werktags um 8:15"],
  ["0 8 * * 1-5", "weekdays at 8:00", "werktags um 8:00"],
  ["30 3 * * *", "every day at 3:30", "täglich um 3:30"],
  ["0 9,14 * * *", "every day at 9:00 and 14:00", "täglich um 9:00 und 14:00"],
  ["0 22 * * sun,sat", "Saturday and Sunday at 22:00", "Samstag und Sonntag um 22:00"],
  ["5 7 * * FRI-MON", "Monday, Friday, Saturday, and Sunday at 7:05", "Montag, Freitag, Samstag und Sonntag um 7:05"],
  ["0 9 * * 7", "Sunday at 9:00", "Sonntag um 9:00"],
  ["*/5 * * * *", "", ""], ["0 9 1 * *", "", ""], ["@daily", "", ""], ["CRON_TZ=UTC 0 9 * * *", "", ""], ["0 9 * * XYZ", "", ""], ["", "", ""],
])("%s", async (at, en, de) => {
  await words.choose("en");
  expect(often(at)).toBe(en);
  await words.choose("de");
  expect(often(at)).toBe(de);
});
