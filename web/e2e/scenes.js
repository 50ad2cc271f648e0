// What a room would send in moments that a real one takes hours to reach, or that need a lamp to die.
import { settled, tapped } from "./settled.js";

const min = 60_000;

const phases = [
  ["Arrival", "preparation", 25, "dusk", 40, -6],
  ["Intention", "preparation", 15, "dusk", 40, -8],
  ["Onset", "administration", 20, "dim", 25, -4],
  ["Journey", "administration", 50, "floor", 12, 0],
  ["Return", "administration", 20, "return", 20, -3],
  ["Integration", "integration", 40, "day", 70, -10],
  ["Leaving", "integration", 10, "day", 70, -12],
];

function laid(change = {}) {
  let at = 0;
  return phases.map(([name, stage, planned, scene, light, level_db]) => {
    const start_ms = at, { long = planned, ...own } = change[name] ?? {};
    at += long * min;
    return { name, stage, start_ms, end_ms: at, held: false, waiting: "", scene, light, level_db, ...own };
  });
}

const titles = ["Spiegel im Spiegel", "An Ending (Ascent)", "Drone", "Says", "Weightless", "Opus 23", "Ocean", "Tuvan Lullaby", "Deep Blue Day", "Avril 14th", "Rain", "Nuvole Bianche"];
const timeline = titles.map((title, i) => ({ title, start_ms: i * 15 * min, end_ms: (i + 1) * 15 * min + 8000, bed: ["Drone", "Ocean", "Rain"].includes(title) }));

const lamp = (name, answer = "") => ({ name, state: "following", answer });
const role = (level, to = level, state = "following", says = "", lamps = []) => ({ target: { level: to, kelvin: 2400 }, actual: state === "unknown" ? null : { level, kelvin: 2400 }, state, says, lamps });

export function playlists() {
  const ready = laid();
  ready[1] = { ...ready[1], waiting: "Lozenge" };
  return [
    { id: "starter/three-hours", name: "Three hours", about: "A slow descent to almost nothing, a long floor, and a return with the light. No voices until the return.", length_ms: 180 * min, ready: true, phases: ready, errors: [], warnings: [] },
    { id: "starter/quiet", name: "Without music", about: "Light, clock and silence.", length_ms: 180 * min, ready: true, phases: ready, errors: [], warnings: [] },
    { id: "starter/tour", name: "Tour", about: "Shows everything in ten minutes.", length_ms: 10 * min, ready: true, phases: ready.map((p) => ({ ...p, start_ms: p.start_ms / 18, end_ms: p.end_ms / 18 })), errors: [], warnings: [] },
    { id: "evening", name: "Evening, strings", about: "", length_ms: 150 * min, ready: false, phases: ready.slice(0, 6), errors: ["evening.yaml:14:9: music: there is no file “strings/onset.flac” (a path is relative to the playlist file)", "evening.yaml:21:5: stage: administration comes before integration"], warnings: [] },
  ];
}

export function snapshot(session, more = {}) {
  return {
    boot: "b1", rev: 1, now_ms: 9_000_000, version: "test", room: "Willow", session,
    lights: { accent: { ...role(12), testable: true }, ambient: { ...role(24, 8), testable: true, test: session ? "" : "zigbee2mqtt/willow/ceiling: fades level or colour at a time, lowest level 1." } },
    sound: { output: "USB Audio DAC", state: "playing", underruns: 0, reopened: 0, latency_ms: 180 },
    problems: [], marks: ["Lozenge", "Spit", "Swallow", "Vitals", "Note"], scenes: ["care", "day", "dim", "dusk", "floor", "full", "return"], ...more,
  };
}

/** session is one that has run for elapsed ms. */
export function session(elapsed, more = {}, change = {}) {
  const all = laid(change);
  const phase = all.find((p) => p.start_ms <= elapsed && elapsed < p.end_ms) ?? all.at(-1);
  const clip = timeline.findLast((c) => c.start_ms <= elapsed);
  return {
    id: "s1", playlist: "starter/three-hours", name: "Three hours", state: "running", started_ms: 9_000_000 - elapsed, elapsed_ms: elapsed,
    ends_at_ms: 180 * min, planned_ms: 180 * min, phase, phases: all,
    music: { clip: "c4", title: clip.title, start_ms: clip.start_ms, end_ms: clip.end_ms, next: timeline[timeline.indexOf(clip) + 1]?.title ?? "" },
    timeline, level_db: -2, ceiling_db: 6, silent: false, softened: false, emergency: false, care: false, returning: false,
    steer: null, marks: [], offer: ["Vitals", "Note", "Booster"], reminders: [], undo: [], revised: false, hold_ends_ms: 191 * min, ...more,
  };
}

const long = "Requiem for a very long name that a record company once thought of";
/** steer is what can be asked in the Journey, 84 min from the start; nothing deeper is left. */
export const steer = (more = {}) => ({
  intensity: 4, asked: 4, can: ["lighter", "another"], word: "Ground",
  offers: { lighter: { title: "Weightless", intensity: 3, at_ms: 90 * min }, another: { title: "Says", intensity: 4, at_ms: 90 * min } },
  menu: [{ name: "Ground", can: false }, { name: "Open", can: true, title: "An Ending (Ascent)", at_ms: 90 * min }, { name: "Grief", can: false }, { name: "Wide", can: true, title: long, at_ms: 90 * min }, { name: "Still", can: true, at_ms: 90 * min }],
  coming: null, ...more,
});
const asked = (do_, title, more = {}) => ({
  marks: given, music: { clip: "c4", title: "Opus 23", start_ms: 75 * min, end_ms: 90 * min, next: title }, undo: [{ id: "u1", do: do_, says: more.name ? `${more.name}: ${title}` : `Another way: ${title}`, code: more.name ? "did-choose" : "did-another", args: { title, ...more }, until_ms: 90 * min }],
  steer: steer({ word: more.name ?? "", coming: { id: "u1", do: do_, title, intensity: 4, at_ms: 90 * min, can_now: true, ...more } }),
});

export const record = {
  id: "s1", name: "Three hours", state: "ended", length_ms: 174 * min, ending: "ended early", ending_code: "ended-early", ended_ago_ms: 90_000, marks: 14, written: 2, erased_in_ms: 29.5 * 24 * 60 * min, zero: "Lozenge",
  notes: [{ of: "Lozenge2352000", text: "Settled after ten minutes, hands still." }, { text: "Quiet throughout. Wept once, in the return, and smiled." }],
  asked: [
    { at_ms: 72 * min, do: "deeper", phase: "Journey", came_ms: 74 * min, title: "An Ending (Ascent)", intensity: 5 }, { at_ms: 78 * min, do: "another", phase: "Journey" },
    { at_ms: 79 * min, do: "choose", name: "Open", phase: "Journey", came_ms: 79 * min, now: true, title: "Weightless", intensity: 3 }, { at_ms: 90 * min, do: "choose", name: "Still", phase: "Journey", came_ms: 91 * min },
  ],
  events: [
    { seq: 1, at_ms: 45_000, kind: "command", data: { do: "hold" } }, { seq: 2, at_ms: 95_000, kind: "command", data: { do: "release" } },
    { seq: 3, at_ms: 70 * min, kind: "command", data: { do: "extend", by: "5m" } }, { seq: 4, at_ms: 96 * min, kind: "command", data: { do: "emergency" } },
    ...Array.from({ length: 24 }, (_, k) => ({ seq: 5 + k, at_ms: (100 + k) * min, kind: "command", data: { do: "level", db: -1 - (k % 6) } })), { seq: 40, at_ms: 174 * min, kind: "command", data: { do: "end" } },
  ],
};

const mark = (name, at_ms) => ({ id: name + at_ms, name, at_ms });
const given = [mark("Vitals", 12 * min), mark("Lozenge", 39 * min + 12_000), mark("Swallow", 46 * min), mark("Vitals", 79 * min)];

record.session = session(174 * min, { state: "ended", ends_at_ms: 174 * min, marks: given, music: null });

/** changed is the session of the journey scene as it would be with another playlist. */
export const changed = () => {
  const s = session(84 * min + 7000, { marks: given, ends_at_ms: 182 * min });
  const from = s.phases.findIndex((p) => p.start_ms === s.phase.end_ms);
  let at = s.phase.end_ms;
  const own = [["Homecoming, with slow strings", "administration", 22, 25], ["Daylight", "integration", 30, 60], ["Tea", "integration", 20, 70]].map(([name, stage, long, light]) => ({ ...s.phases[from], name, stage, light, start_ms: at, end_ms: (at += long * min) }));
  return { ...s, phases: [...s.phases.slice(0, from), ...own] };
};

const DAY = 24 * 60 * min;
// Yesterday at noon, whatever time it is now.
const yesterday = Math.floor((Date.now() - new Date().setHours(-12, 0, 0, 0)) / min);
export const past = [record, ...[["Evening, strings", "planned", yesterday, 150], ["Three hours", "aborted", 3 * 24 * 60, 41], ["Three hours", "off", 9 * 24 * 60, 180]].map(([name, code, ago, long], k) => (
  { ...record, id: "s" + (k + 2), name, ending_code: "ended-" + code, ended_ago_ms: ago * min, length_ms: long * min, marks: 11 - 5 * k, written: 2 - k, erased_in_ms: 30 * DAY - ago * min }))];
export const devices = [
  { name: "iPad", role: "therapist", created: "2026-05-01", last_used: "2026-05-04", connected: 1, this: true },
  { name: "Android", role: "therapist", created: "2026-05-01", last_used: "2026-05-03", connected: 0, this: false },
  { name: "Supervision room", role: "observer", created: "2026-05-02", connected: 0, this: false },
];
export const trust = { https: "https://room.local:8443", fingerprint: Array.from({ length: 32 }, (_, i) => (i * 37 % 256).toString(16).toUpperCase().padStart(2, "0")).join(":"), own: false };

/** arc is a playlist's picture. */
export function arc() {
  const phases = laid().map((p) => ({ name: p.name, stage: p.stage, start_ms: p.start_ms, end_ms: p.end_ms, plan_ms: p.end_ms, flex_ms: p.name === "Journey" ? 4 * min : 0, target: -23 + p.level_db, ...(p.name === "Intention" ? { until: "Lozenge" } : {}) }));
  const clips = timeline.map((c, i) => ({ id: "c" + i, title: c.title, phase: 0, start_ms: c.start_ms, end_ms: c.end_ms, fade_in_ms: 8000, fade_out_ms: 8000, gain: -3, ...(c.bed ? { bed: c.title.toLowerCase(), cover: "rest" } : {}) }));
  const target = (at) => phases.find((p) => at < p.end_ms)?.target ?? -30;
  const short_term = Array.from({ length: 720 }, (_, k) => target(k * 15_000) + 5 * Math.sin(k / 5) * Math.sin(k / 31) - 2);
  return {
    playlist: "starter/three-hours", name: "Three hours", end_ms: 180 * min, phases, clips, joins: clips.slice(1).map((c) => ({ from_ms: c.start_ms, to_ms: c.start_ms + 8000 })),
    loudness: { step_ms: 15_000, short_term, momentary: short_term },
    lights: ["accent", "ambient"].map((role) => ({ role, points: laid().flatMap((p, i, all) => [{ at_ms: p.start_ms, level: all[Math.max(0, i - 1)].light, color: "#ff9a4a" }, { at_ms: p.start_ms + 4 * min, level: p.light, color: "#ff9a4a" }]) })),
  };
}

/** file is a playlist's file, with something to mend in it. */
export const file = () => ({
  file: "evening.yaml", revision: "r1", text: "name: Evening, strings\n", problems: [{ file: "evening.yaml", line: 9, col: 13, source: "    music: [strings/onset.flac]", severity: "warning", says: "“strings/onset.flac” is not there", write: "check its name; it is looked for beside this file" }],
  phases: laid().map((p, was) => ({ was, name: p.name, stage: p.stage, length_ms: p.end_ms - p.start_ms, level_db: p.level_db, scene: p.scene, fade_ms: 5 * min,
    music: [{ was: 0, file: "music/Strings, very slow", tracks: 12, length_ms: 52 * min }, { was: 1, file: "music/03 Spiegel im Spiegel.flac", title: "Spiegel im Spiegel", tracks: 1, length_ms: 9.4 * min }, { was: 2, file: "strings/onset.flac", tracks: 1, problem: "The file is not there." }, { was: 3, bed: "ocean" }] })),
});

/** music is what a folder of the library holds. */
export const music = { more: false, files: [
  { file: "music/Strings, very slow", kind: "folder", tracks: 12 }, { file: "music/Requiem for a very long name that a record company once thought of", kind: "folder", tracks: 4 },
  { file: "music/03 Spiegel im Spiegel.flac", kind: "track", title: "Spiegel im Spiegel", artist: "Arvo Pärt", length_ms: 9.4 * min }, { file: "music/old.m3u", kind: "list" },
] };

/** versions are the earlier ones of a playlist's file; one of them is told whole. */
export const versions = () => [40_000, 5 * min, 26 * 60 * min, 80 * 60 * min].map((ago_ms, k) => ({ number: 9 - k, ago_ms, revision: `v${k}`, phases: k === 3 ? 0 : 8, length_ms: 178 * min }));
export const version = () => ({ ...versions()[1], diff: "--- version 8\n+++ now\n@@ -4,1 +4,1 @@\n-    length: 30m\n+    length: 40m # as she likes it\n", file: { ...file(), phases: file().phases.slice(1).map((p, k) => ({ ...p, length_ms: p.length_ms + (k % 3) * min, music: p.music.slice(k % 2) })) } });

/** setup is how the room is set up; change is what is other than usual. */
export const setup = (change = {}) => ({
  fresh: false, room: "Willow", waits: false, problems: [], playlists: 3, ...change,
  sound: {
    output: "alsa", device: "DAC", reference: -23, reference_min: -40, reference_max: -14,
    devices: [{ name: "DAC", description: "USB Audio DAC", rates: [44100, 48000], usb: true }, { name: "vc4hdmi0", description: "HDMI 0, the monitor’s own loudspeakers", rates: [48000], usb: false }], ...change.sound,
  },
  lights: {
    broker: "mqtt://localhost:1883", broker_state: "connected", zigbee: true, joining_ms: 0, joined: [], roles: ["ambient", "accent"],
    brokers: [{ url: "mqtt://localhost:1883", name: "localhost" }, { url: "mqtt://192.168.1.5:1883", name: "homeassistant" }],
    offers: [["room1/hue1", "hue1", "Hue white ambiance", "ambient"], ["room1/hue2", "hue2", "Hue white ambiance", "ambient"], ["room1/ikea1", "ikea1", "TRADFRI bulb E27 WS opal 1000lm", "accent"], ["room1/ikea2", "By the door", "TRADFRI bulb E27 WS opal 1000lm", ""], ["room1/all", "all", "", "", 4]]
      .map(([topic, name, kind, role, many]) => ({ driver: "zigbee2mqtt", topic: "zigbee2mqtt/" + topic, name, kind, role, ...(many ? { members: Array.from({ length: many }, (_, k) => "m" + k) } : {}), trouble: "" })),
    ...change.lights,
  },
});
const fresh = (change = {}) => (sent) => (sent.sound?.devices ? setup({ fresh: true, ...change }) : sent);
/** withSheet is a room whose card brought a code that nobody has used yet. */
export const withSheet = (sent) => (sent.command ? { ...sent, sheet: true } : sent);
/** walked goes on to step n of the walk. */
const walked = (n) => async (page, line, w) => {
  const at = () => page.evaluate(() => Number(localStorage.getItem("walk") ?? 0));
  await page.locator(".part").waitFor();
  while ((await at()) < n) await tap(page, w.setup.next);
};

/** clinic opens the room's clinic. */
const clinic = async (page, line, w) => {
  if (!(await page.locator("input").count())) {
    if (!(await page.locator(".technical").count())) await tap(page, w.before.room);
    await tapped(page.locator(".row.clinic"));
  }
  await page.locator("input").first().waitFor();
  await page.waitForTimeout(450);
};

/** findings are a doctor's. */
export const findings = [
  { check: "roomd", state: "ok", says: "Version test runs." },
  { check: "room file", state: "ok", says: "/var/lib/roomd/room.yaml has no errors." },
  { check: "sound", state: "ok", says: "alsa plughw:CARD=DAC,DEV=0 S32_LE 48000 Hz, heard 121 ms after it is made." },
  { check: "sound gaps", state: "ok", says: "None since roomd was started." },
  { check: "first sound", state: "ok", says: "The slowest playlist, evening, is heard 148 ms after Start." },
  { check: "light accent", state: "wrong", says: "It does not answer.", do: "Is its switch on?" },
  { check: "power", state: "wrong", says: "The voltage was too low since the computer was started (0x50000).", do: "Use the power supply made for this Raspberry Pi (5.1 V; a Pi 5 wants 5 A) with its own cable, and plug sound and sticks into a powered hub." },
  { check: "card", state: "unknown", says: "mmcblk0 (SN32G of 08/2023) is an SD card: those don't tell how worn they are.", do: "Replace it every two or three years, and back the room up: a schedule can do that." },
  { check: "network", state: "ok", says: "eth0 is connected by a cable." },
];

/** tap presses a control by its words */
const tap = async (page, words) => {
  await tapped(page.locator(".key", { has: page.getByText(words, { exact: true }) }).first());
  await settled(page);
};

/** scenes: what a room sends, and what is done then, by the words (a file of ui/src/locales) that the page shows. */
export const scenes = {
  connecting: { snap: () => null },
  before: { snap: () => snapshot(null) },
  "before-broken": {
    snap: () => snapshot(null, {
      lights: { accent: role(0, 20, "lost", "The lamp “accent” does not answer. Is its switch on?"), ambient: role(24) },
      problems: [
        { part: "sound", says: "The sound device is not there.", do: "Plug in the USB sound device; it is used as soon as it is back." },
        { part: "playlist", says: "“Evening, strings” has 2 errors.", do: "Its card says which lines." },
      ],
    }),
    then: async (page, line, w) => { if (!(await page.locator(".ready").count())) await tap(page, w.before.details); },
  },
  trying: { snap: () => snapshot(null), then: async (page, line, w) => { if (!(await page.locator(".lamps").count())) await tap(page, w.before.try); } },
  "screen-open": { snap: () => snapshot(null), then: async (page, line, w) => { if (!(await page.locator(".panel").count())) await tap(page, w.screen.name); } },
  many: { snap: () => snapshot(null), 
    plant: (sent) => (Array.isArray(sent) && sent[0]?.phases ? Array.from({ length: 43 }, (_, k) => ({ ...sent[k % 3], id: "p" + k, name: `Evening ${k}`, errors: k % 7 === 3 ? ["evening.yaml:14:9: music: there is no file"] : [], ready: k % 7 !== 3 })) : sent),
  },
  journey: { snap: () => snapshot(session(84 * min + 7000, { marks: given })) },
  steer: { snap: () => snapshot(session(84 * min + 7000, { marks: given, steer: steer() })) },
  "steer-coming": {
    snap: () => snapshot(session(84 * min + 7000, { ...asked("another", "Says"), reminders: [{ say: "Vitals", due_ms: 81 * min, marks: ["Vitals"] }] })),
    then: async (page, line, w) => page.locator(".key.on", { hasText: w.steer.now }).waitFor(),
  },
  "steer-long": {
    snap: () => {
      const told = asked("another", long);
      return snapshot(session(84 * min + 7000, { ...told, steer: { ...told.steer, offers: { ...told.steer.offers, lighter: { title: long, intensity: 3, at_ms: 90 * min } } }, reminders: [{ say: "Vitals", due_ms: 81 * min, marks: ["Vitals"] }] }));
    },
  },
  "steer-menu": {
    snap: () => snapshot(session(84 * min + 7000, asked("choose", "An Ending (Ascent)", { name: "Open" }))),
    then: async (page, line, w) => {
      if (!(await page.getByRole("button", { name: w.key.back, exact: true }).count())) await tap(page, w.steer.words);
      await page.getByRole("button", { name: w.key.back, exact: true }).waitFor();
    },
  },
  "change-playlist": {
    snap: () => snapshot(session(84 * min + 7000, { marks: given })),
    then: async (page, line, w) => {
      if (await page.locator(".panel .arcbox").count()) return;
      await tap(page, w.key.others);
      await tap(page, w.change.title);
      await tapped(page.locator(".panel .row").first());
      await page.locator(".panel .arcbox").waitFor();
      await settled(page);
    },
  },
  asleep: { snap: () => snapshot(session(84 * min + 7000, { marks: given })), then: async (page) => { await page.evaluate(() => globalThis.untouched()); await page.locator(".asleep").waitFor(); } },
  early: { snap: () => snapshot(session(20 * min, { marks: [mark("Lozenge", 3 * min)], ends_at_ms: 144 * min }, { Arrival: { long: 3 }, Intention: { long: 1 } })) },
  softened: { snap: () => snapshot(session(84 * min + 7000, { marks: given, softened: true, care: true, undo: [{ id: "u1", do: "soften", says: "Music softened", until_ms: 300 * min }] })) },
  "no-sound": {
    snap: () => snapshot(session(84 * min + 7000, { marks: given }), {
      sound: { output: "USB Audio DAC", state: "lost", underruns: 0, reopened: 0, latency_ms: 0 },
      parts: [{ part: "sound", state: "degraded", since_ms: 9_000_000 - 42_000, why: "The sound device is not there.", do: "Plug in the USB sound device." }],
      problems: [{ part: "sound", says: "The sound device is not there.", do: "Plug in the USB sound device; it is used as soon as it is back." }],
    }),
  },
  waiting: { snap: () => snapshot(session(38 * min, { offer: ["Lozenge", "Vitals"], marks: [mark("Vitals", 12 * min)] }, { Intention: { waiting: "Lozenge" } })) },
  revised: { snap: () => snapshot(session(84 * min + 7000, { marks: given, revised: true })) },
  held: {
    snap: () => snapshot(session(84 * min + 7000, {
      marks: given, ends_at_ms: 186 * min, undo: [{ id: "u1", do: "extend", says: "Journey lengthened by 5 min", until_ms: 84 * min + 60_000 }],
      reminders: [{ say: "Spit or swallow", due_ms: 81 * min, marks: ["Spit", "Swallow"] }, { say: "Vitals", due_ms: 82 * min, marks: ["Vitals"] }],
    }, { Journey: { held: true } })),
  },
  emergency: {
    snap: () => snapshot(session(96 * min, { emergency: true, emergency_ms: 94 * min, silent: true, marks: given, music: null }), {
      lights: { accent: role(100, 100, "lost", "The lamp “accent” does not answer.", [lamp("By the door", "no")]), ambient: role(100, 100, "following", "", [lamp("left", "yes"), lamp("right", "waiting")]) },
      problems: [{ part: "lights", says: "The lamp “accent” does not answer.", do: "Switch it on at the wall." }],
    }),
  },
  asked: {
    snap: () => snapshot(session(84 * min + 7000, { marks: given })),
    then: async (page, line, words) => {
      await page.getByRole("button", { name: words.key.emergency }).focus();
      await page.keyboard.press("Enter");
      await page.getByRole("group", { name: words.tap.sure.replace("{{what}}", words.key.emergency) }).waitFor();
    },
  },
  stale: {
    snap: () => snapshot(session(84 * min + 7000, { marks: given })),
    then: async (page, line, words) => {
      line.mute();
      await page.getByText(words.line.lastKnown.split("{{")[0].trim()).waitFor();
      for (const key of [words.key.stay, words.key.soften, "Vitals"]) await tapped(page.locator(".key", { has: page.locator(".label", { hasText: new RegExp(`^${key}$`) }) }));
      await page.getByText(words.tap.notSentSays.replace("{{what}}", "Vitals")).first().waitFor();
    },
  },
  pair: {
    snap: () => "out",
    then: async (page, line, w) => {
      await page.keyboard.press("Backspace");
      await page.keyboard.press("Backspace");
      await page.keyboard.type("123456");
      await page.getByText(w.pair.codeWrong).waitFor();
      await page.keyboard.type("48");
    },
  },
  "pair-sheet": {
    snap: () => "out", plant: withSheet,
    then: async (page, line, w) => {
      await page.getByText(w.pair.sheet).waitFor();
      await page.getByText(w.pair.noSheet).waitFor();
    },
  },
  trust: {
    snap: () => "out",
    then: async (page, line, w) => {
      if (await page.getByText(w.trust.why).count()) return;
      await tap(page, w.trust.make);
      await page.getByText(w.trust.notYet).waitFor();
    },
  },
  devices: { snap: () => snapshot(null), then: async (page, line, w) => { if (!(await page.getByText(w.devices.this).count())) await tap(page, w.devices.title); } },
  sessions: { snap: () => snapshot(null), then: async (page, line, w) => { if (!(await page.getByRole("heading", { name: w.history.title }).count())) await tap(page, w.history.title); await page.locator(".row").first().waitFor(); } },
  music: {
    snap: () => snapshot(null),
    then: async (page, line, w) => {
      if (!(await page.locator(".picture").count())) await tap(page, w.before.music);
      await page.locator(".picture").waitFor();
      await page.getByRole("slider").fill("2460000");
      await page.locator("ol li").first().waitFor();
    },
  },
  "music-phase": {
    snap: () => snapshot(null),
    then: async (page, line, w) => {
      if (!(await page.locator(".picture").count())) await tap(page, w.before.music);
      await page.locator("li.phase").first().waitFor();
      if (await page.locator(".pick").count()) return;
      await tapped(page.locator(".line .key").first());
      await tapped(page.locator(".more .key"));
      await tapped(page.locator(".pick li .key").nth(2));
      await settled(page);
    },
  },
  versions: {
    snap: () => snapshot(null),
    then: async (page, line, w) => {
      if (!(await page.locator(".picture").count())) await tap(page, w.before.music);
      await page.locator("li.phase").first().waitFor();
      if (await page.locator(".versions").count()) return;
      await tapped(page.locator(".edit-keys .key").nth(1));
      await tapped(page.locator(".versions li .row").nth(1));
      await page.locator(".versions .tr").nth(3).waitFor();
    },
  },
  room: {
    snap: () => snapshot(null, {
      parts: ["sound", "lights", "broker", "playlists", "page", "disk", "clock", "room"].map((part) => (part === "lights" ? { part, state: "degraded", since_ms: 1, why: "The light “accent” does not answer.", do: "Is its switch on?" } : { part, state: "working" })),
      schedule: [
        { at: "0 8 * * MON-FRI", do: "scene dusk", next: "2026-05-05T08:00:00+02:00", last: "Mon 08:00: done" },
        { at: "15 8 * * MON-FRI", do: "check room", next: "2026-05-05T08:15:00+02:00", last: "Mon 08:15: The light “accent” does not answer." },
        { at: "30 3 * * *", do: "backup to /media/stick/roomd", next: "" },
      ],
    }),
    then: async (page, line, w) => {
      if (!(await page.locator(".technical").count())) await tap(page, w.before.room);
      await page.locator(".technical").waitFor();
      if (!(await page.locator(".found").count())) {
        await tapped(page.locator(".look button"));
      }
      await page.locator(".passed").waitFor();
    },
  },
  "walk-name": { snap: () => snapshot(null), plant: fresh({ problems: [{ part: "room", says: "The room file has an error. The last good settings are in use.", do: "Correct the line in an editor.", details: "room.yaml:7:3: unknown key “lihgts” (did you mean “lights”?)" }] }), then: walked(0) },
  "walk-sound": {
    snap: () => snapshot(null), plant: fresh(),
    then: async (page, line, w) => {
      await walked(1)(page, line, w);
      await tap(page, w.key.softer);
      await tapped(page.locator(".part .row").nth(1));
      await settled(page);
    },
  },
  "walk-hub": { snap: () => snapshot(null), plant: fresh({ lights: { broker: "embedded", broker_state: "embedded", zigbee: false, offers: [] } }), then: walked(2) },
  "walk-lamps": {
    snap: () => snapshot(null), plant: fresh({ lights: { joining_ms: 104_000, joined: [{ name: "0x00178801020304", state: "asked" }] } }),
    then: async (page, line, w) => {
      await walked(2)(page, line, w);
      const door = page.locator(".places .row", { hasText: "By the door" });
      await tapped(door);
      await settled(page);
    },
  },
  "walk-first": { snap: () => snapshot(null), plant: fresh(), then: walked(3) },
  "walk-ready": { snap: () => snapshot(null), plant: fresh(), then: walked(4) },
  "room-sound": {
    snap: () => snapshot(null, { checking: true, parts: [] }), plant: (sent) => (sent.sound?.devices ? setup({ waits: true }) : sent),
    then: async (page, line, w) => {
      if (!(await page.locator(".part").count())) {
        if (!(await page.locator(".technical").count())) await tap(page, w.before.room);
        await tapped(page.locator(".steps .row").nth(1));
      }
      await page.locator(".banner").nth(1).waitFor();
      await settled(page);
    },
  },
  "room-clinic": {
    snap: () => snapshot(null, { parts: [] }), plant: (sent) => (sent.reach ? { ...sent, name: "North clinic, the houses at the river", reach: "refused", for_ms: 300_000, details: "broker-password" } : sent),
    then: clinic,
  },
  "room-join": {
    snap: () => snapshot(null, { parts: [] }), plant: (sent) => (sent.reach ? { joined: false, name: "", fixed: false, reach: "", for_ms: 0 } : sent),
    then: async (page, line, w) => {
      await clinic(page, line, w);
      await page.locator("input").first().fill("192.168.1.5:8444");
      await page.locator("input").last().fill("abcd-efgh-jkmn-pqrs-tvwx-yz01");
    },
  },
  observer: { snap: () => snapshot(session(84 * min + 7000, { marks: given }), { you: { name: "Supervision", role: "observer" } }) },
  "observer-before": { snap: () => snapshot(null, { you: { name: "Supervision", role: "observer" } }) },
  writing: {
    snap: () => snapshot(session(174 * min, { state: "ended", ends_at_ms: 174 * min, marks: given, music: null })),
    then: async (page, line, w) => { if (!(await page.locator("textarea").count())) await tap(page, w.after.write); },
  },
  ended: { snap: () => snapshot(session(174 * min, { state: "ended", ends_at_ms: 174 * min, marks: given, music: null })) },
};
