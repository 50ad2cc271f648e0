// An entry of a phase's music in words.
import { base, named, span, type Entry } from "./edit";
import { hms } from "../format";
import { t, word } from "../texts.svelte";

export function label(e: Entry): string {
  if (e.bed) return word("bed", e.bed);
  if (e.silence) return t("music.silence");
  return e.title || ((e.tracks ?? 0) > 1 ? base(e.file ?? "") : named(e.file ?? ""));
}

/** rounded is to the minute, from ten minutes on. */
const rounded = (ms: number) => (ms < 600_000 ? ms : Math.round(ms / 60_000) * 60_000);

export function about(e: Entry): string {
  if (e.problem) return e.problem;
  const out: string[] = [];
  if ((e.tracks ?? 0) > 1) out.push(t("pick.tracks", { count: e.tracks! }));
  if (e.from_ms || e.to_ms) out.push(`${hms((e.from_ms ?? 0) / 1000)} – ${e.to_ms ? hms(e.to_ms / 1000) : t("pick.end")}`);
  else if (e.length_ms) out.push((e.tracks ?? 1) > 1 ? span(rounded(e.length_ms)) : hms(e.length_ms / 1000));
  if (e.bed) out.push(t("pick.bed"));
  return out.join(" · ");
}
