// Every screen by its name: no other file knows them all. A screen that no session needs is fetched when it is opened, with its words.
import type { ParseKeys } from "i18next";
import type { Component } from "svelte";
import Before from "./Before.svelte";
import Connecting from "./Connecting.svelte";
import { room } from "./room.svelte";
import Session from "./Session.svelte";
import { ui } from "./ui.svelte";

// eslint-disable-next-line @typescript-eslint/no-explicit-any -- each takes the session, or nothing
type Page = Component<any>;

interface Screen {
  /** whether it is shown, asked from the first to the last */
  shown: () => boolean;
  page?: Page;
  fetch?: () => Promise<Page>;
  /** the text of its key at the start */
  key?: ParseKeys;
}

const aside = () => import("./aside");
const desk = () => import("./desk");
const opened = (name: string) => room.view === "before" && room.steers && ui.page === name;

export const screens: Record<string, Screen> = {
  trust: { shown: () => room.view !== "session" && ui.page === "trust", fetch: async () => (await aside()).trust },
  pair: { shown: () => room.view === "pair", fetch: async () => (await aside()).pair },
  connecting: { shown: () => room.view === "connecting", page: Connecting },
  session: { shown: () => room.view === "session", page: Session },
  after: { shown: () => room.view === "after", fetch: async () => (await aside()).after },
  music: { shown: () => opened("music"), fetch: async () => (await desk()).music, key: "before.music" },
  room: { shown: () => opened("room"), fetch: async () => (await desk()).room, key: "before.room" },
  walk: { shown: () => opened("walk"), fetch: async () => (await desk()).walk },
  history: { shown: () => opened("history"), fetch: async () => (await aside()).history, key: "history.title" },
  devices: { shown: () => opened("devices"), fetch: async () => (await aside()).devices, key: "devices.title" },
  before: { shown: () => true, page: Before },
};

/** current is the screen that is shown now. */
export const current = (): Screen => Object.values(screens).find((s) => s.shown())!;

/** open shows a screen in place of the start; none: the start. */
export function open(screen?: Screen): void {
  ui.page = Object.keys(screens).find((name) => screens[name] === screen) ?? "";
}
