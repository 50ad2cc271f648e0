// A schedule's times in words, for the shapes that rooms have. What else cron can say is under Details.
import { t, words } from "../texts.svelte";

const names = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];
const list = (items: string[]) => new Intl.ListFormat(words.language).format(items);

/** weekdays is the days of a cron field, from Monday on: 1-5 → [1, 2, 3, 4, 5]; null where it is something else. */
function weekdays(field: string): number[] | null {
  const day = (s: string) => (/^[0-7]$/.test(s) ? Number(s) % 7 : names.indexOf(s));
  const out = new Set<number>();
  for (const part of field.split(",")) {
    const [from, to = from, ...more] = part.split("-").map(day) as [number, number?];
    if (from < 0 || to < 0 || more.length) return null;
    for (let d = from; ; d = (d + 1) % 7) {
      out.add(d);
      if (d === to) break;
    }
  }
  return [...out].sort((a, b) => ((a + 6) % 7) - ((b + 6) % 7));
}

/** often is when a line of the schedule happens: weekdays at 8:15. "" where it has another shape. */
export function often(at: string): string {
  const [minute = "", hours = "", day, month, week = "", ...more] = at.trim().toUpperCase().split(/\s+/);
  if (more.length || day !== "*" || month !== "*" || !/^\d\d?$/.test(minute) || !/^\d\d?(,\d\d?)*$/.test(hours)) return "";
  const time = list(hours.split(",").map((h) => `${Number(h)}:${minute.padStart(2, "0")}`));
  if (week === "*") return t("care.daily", { time });
  const days = weekdays(week);
  if (!days) return "";
  if (days.join() === "1,2,3,4,5") return t("care.weekdays", { time });
  const day1 = new Intl.DateTimeFormat(words.language, { weekday: "long" });
  return t("care.onDays", { days: list(days.map((d) => day1.format(new Date(2024, 0, 7 + d)))), time });
}
