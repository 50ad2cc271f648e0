// The steps of the walk, in their order. Each but the last is a part of Room as well.
import type { ParseKeys } from "i18next";
import type { Component } from "svelte";
import First from "./First.svelte";
import Lamps from "./Lamps.svelte";
import Name from "./Name.svelte";
import Ready from "./Ready.svelte";
import { room } from "../room.svelte";
import { roleName } from "../said";
import { setup } from "./setup.svelte";
import Sound from "./Sound.svelte";
import { t } from "../texts.svelte";

export interface Step {
  title: ParseKeys;
  part: Component;
  /** what its key is called that leaves it for later */
  later?: ParseKeys;
  /** what is set */
  says: () => string;
  /** whether a session has what it needs of it */
  good: () => boolean;
}

const sounds = () => ["playing", "resting", "opening"].includes(room.snap!.sound.state);
const placed = () => setup.is!.lights.roles.filter((r) => setup.is!.lights.offers.some((o) => o.role === r));

export const steps: Step[] = [
  { title: "setup.name", part: Name, says: () => setup.is!.room, good: () => true },
  {
    title: "part.sound", part: Sound, good: sounds,
    says: () => {
      const { output, device, devices } = setup.is!.sound;
      if (output === "none") return t("ready.soundOff");
      return sounds() ? t("ready.sound", { output: devices.find((d) => d.name === device)?.description || device || room.snap!.sound.output }) : t("ready.soundNot");
    },
  },
  {
    title: "setup.lamps", part: Lamps, later: "setup.noLampsYet", good: () => placed().length > 0,
    says: () => placed().map((r) => `${roleName(r)}: ${setup.is!.lights.offers.filter((o) => o.role === r).map((o) => o.name).join(", ")}`).join(" · ") || t("ready.drawn"),
  },
  { title: "setup.first", part: First, says: () => t("setup.playlists", { count: setup.is!.playlists }), good: () => setup.is!.playlists > 0 },
];

export const last: Step = { title: "before.isReady", part: Ready, says: () => "", good: () => true };
