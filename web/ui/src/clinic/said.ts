// A room's state in words.
import { about } from "../format";
import { t, word } from "../texts.svelte";
import type { Room } from "./api.gen";
import { minutesLeft, runs } from "./rooms";

/** whole keeps a time on one line. */
const whole = (s: string): string => s.replaceAll(" ", "\u00a0");

/** span is for how long; "" in the first minute: seconds would only stir. */
const span = (ms: number): string => (ms < 60_000 ? "" : whole(about(ms / 1000)));

function lasting(what: string, ms: number): string {
  const time = span(ms);
  return time ? t("broken.for", { what, time }) : what;
}

/** troubles are what somebody should look after, the most urgent first. */
export function troubles(r: Room, now: number): string[] {
  if (!r.reached) return r.heard ? [lasting(t("broken.lost"), now - (r.lost_ms ?? now))] : [];
  return r.broken.map((b) => lasting(t(`broken.${b.part}`), now - b.since_ms));
}

/** state is what goes on in the room, in one or two parts; none where nobody knows. */
export function state(r: Room, now: number): string[] {
  if (runs(r, now)) return [word("stage", r.stage!), left(r, now)].map(whole);
  if (!r.heard) return [t("rooms.notHeard")];
  return r.reached ? [t("rooms.idle")] : [];
}

function left(r: Room, now: number): string {
  if (r.ending) return t("state.ending");
  if (r.held) return t("state.held");
  const min = minutesLeft(r, now);
  return min > 1 ? t("rooms.left", { time: about(min * 60) }) : min ? t("rooms.leftSoon") : t("rooms.over");
}
