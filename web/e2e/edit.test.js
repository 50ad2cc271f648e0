// Music in a phase, unsaved changes and earlier versions, on the real binary, with a finger on a tablet and a phone.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import { eventually, room } from "./room.js";
import { settled, tapped } from "./settled.js";
import { close, tablet } from "./tablet.js";

const shots = new URL("./shots/", import.meta.url);
const axe = await readFile(new URL("./node_modules/axe-core/axe.min.js", import.meta.url), "utf8");
const sizes = { tablet: [1024, 768], upright: [820, 1180], phone: [390, 844] };
const evening = `# what I like for the evening
name: Evening
phases:
  - name: Arrival
    stage: preparation
    length: 3m
    music: music/Strings/ # soft
    crossfade: 6s
  - {name: Rest, stage: integration, length: 1m, music: {bed: rain}, level: -6, crossfade: 6s}
`;

let mine; // a folder on whoever's computer it is
const tone = (file, hz, seconds, title) => promisify(execFile)("ffmpeg", ["-v", "error", "-f", "lavfi", "-i", `sine=${hz}:d=${seconds},volume=-12dB`, "-ac", "2", "-metadata", `title=${title}`, "-metadata", "artist=Trio Nacht", file]);
before(async () => {
  await mkdir(shots, { recursive: true });
  mine = await mkdtemp(join(tmpdir(), "roomd-music-"));
  for (const [folder, hz] of [["Strings", 220], ["Strings", 277], ["Strings", 330], ["Piano, late", 440], ["Piano, late", 494], ["Loose", 392]]) {
    await mkdir(join(mine, folder), { recursive: true });
    await tone(join(mine, folder, `0${(hz % 9) + 1} tone ${hz}.flac`), hz, 40, `Tone ${hz}`);
  }
});
const rooms = [];
after(async () => {
  await close();
  for (const r of rooms) await r.close();
  await rm(mine, { recursive: true, force: true });
});

const key = (where, label) => where.locator(".key", { has: where.page?.().getByText(label, { exact: true }) ?? where.getByText(label, { exact: true }) }).first();
async function press(where, label) {
  const page = where.page?.() ?? where;
  await tapped(where.getByRole("button", { name: label, exact: true }).first());
}
const phase = (page, name) => page.locator("li.phase", { has: page.locator(".name", { hasText: name }) });

async function a(files = { "evening.yaml": evening }, size = sizes.tablet) {
  const r = await room(files);
  rooms.push(r);
  const text = (name = "evening.yaml") => readFile(join(r.data, "playlists", name), "utf8");
  const shelf = async () => {
    for (const folder of ["Strings", "Piano, late"]) {
      await mkdir(join(r.data, "playlists", "music"), { recursive: true });
      await promisify(execFile)("cp", ["-r", join(mine, folder), join(r.data, "playlists", "music", folder)]);
    }
    await eventually("the music is known", async () => (await r.get("/api/v1/playlists/evening/file")).phases[0]?.music[0].tracks === 3);
  };
  const t = await tablet({ size });
  const desk = async (name = "Evening") => {
    await t.page.locator(".cards .row").first().waitFor();
    await tapped(t.page.locator(".key", { has: t.page.getByText("Music", { exact: true }) }).first());
    await t.page.locator("main h1", { hasText: "Music" }).waitFor();
    await settled(t.page);
    const chooser = t.page.locator(".chooser .key"); // where the list is not beside the playlist
    if (await chooser.isVisible()) {
      await tapped(chooser);
      await settled(t.page);
    }
    await tapped(t.page.locator(".list .row", { hasText: name }).first());
    await t.page.locator("li.phase, textarea").first().waitFor();
  };
  await t.page.goto(r.url + (await r.pair()).link);
  return { ...t, r, text, shelf, desk, end: async () => { assert.deepEqual(t.faults, []); await t.context.close(); } };
}

/** look takes a picture at each size and holds what a screen at the desk must be. */
async function look(page, name, where = "main") {
  const back = page.viewportSize();
  for (const [kind, [width, height]] of Object.entries(sizes)) {
    await page.setViewportSize({ width, height });
    await page.locator(where).first().scrollIntoViewIfNeeded();
    await page.evaluate((w) => document.querySelector(w)?.scrollIntoView({ block: "start" }), where);
    await page.waitForTimeout(100);
    await page.screenshot({ path: new URL(`edit-${name}-${kind}.png`, shots).pathname });
    const wrong = await page.evaluate((w) => {
      const out = [];
      for (const e of [document.scrollingElement, document.querySelector("main"), ...document.querySelectorAll(".chosen, .pick, .versions, .music")])
        if (e.scrollWidth > e.clientWidth + 1) out.push(`${e.className || e.tagName} is ${e.scrollWidth} wide in ${e.clientWidth}`);
      const part = document.querySelector(w);
      for (const e of part.querySelectorAll("button, input, select, textarea, summary")) {
        const r = e.getBoundingClientRect();
        if (e.hidden || e.type === "range" || r.width === 0) continue;
        if (r.width < 55.5 || r.height < 55.5) out.push(`“${e.getAttribute("aria-label") ?? e.innerText}” is ${r.width}×${r.height}`);
        if (r.right > innerWidth + 1) out.push(`“${e.innerText}” is off the screen`);
      }
      const texts = document.createTreeWalker(part, NodeFilter.SHOW_TEXT);
      for (let n = texts.nextNode(); n; n = texts.nextNode()) {
        const e = n.parentElement, size = parseFloat(getComputedStyle(e).fontSize);
        if (n.data.trim() && e.getClientRects().length && !e.closest(".picture") && size < (e.closest("pre, textarea") ? 16 : 20)) out.push(`“${n.data.trim().slice(0, 40)}” is ${size} px`);
      }
      return out;
    }, where);
    assert.deepEqual(wrong, [], `${name} on a ${kind}`);
  }
  await page.evaluate(axe);
  assert.deepEqual(await page.evaluate(async () => (await globalThis.axe.run()).violations.map((v) => `${v.id}: ${v.nodes.map((n) => n.html).join(" ")}`)), [], name);
  await page.setViewportSize(back);
}

for (const kind of ["tablet", "phone"]) {
  test(`the music of a phase is changed without a word of YAML, on a ${kind}`, async () => {
    const { page, text, shelf, desk, end } = await a(undefined, sizes[kind]);
    await shelf();
    await desk();
    const arrival = phase(page, "Arrival"), rest = phase(page, "Rest");
    await arrival.locator(".music", { hasText: "Strings" }).waitFor();
    await press(arrival, "Change music: Arrival");
    await arrival.locator(".what span", { hasText: "3 tracks · 2 min" }).waitFor();
    if (kind === "tablet") await look(page, "music", "li.phase");
    await press(arrival, "Add music");
    // By folder: there is only one at the top, so its own folders are shown at once.
    await press(arrival, "Add: Piano, late");
    await page.getByText("Piano, late was added. Save when you are done.").waitFor();
    await tapped(arrival.locator(".pick .row", { hasText: "Piano, late" }));
    await press(arrival, "Add: Tone 440");
    if (kind === "tablet") await look(page, "pick", ".pick");
    // By words: of the title, which is not in the name that is shown.
    await arrival.getByRole("searchbox").fill("nacht 330");
    await press(arrival, "Add: Tone 330");
    if (kind === "tablet") await look(page, "search", ".pick");
    await arrival.getByRole("searchbox").fill("no such music");
    await page.getByText("Nothing found. Try fewer words.").waitFor();
    await press(arrival, "Done");
    const names = () => arrival.locator("ol .what b").allInnerTexts();
    assert.deepEqual(await names(), ["Strings", "Piano, late", "Tone 440", "Tone 330"]);
    await press(arrival, "Tone 330 earlier");
    await press(arrival, "Remove: Piano, late");
    assert.deepEqual(await names(), ["Strings", "Tone 330", "Tone 440"]);
    await press(arrival, "Replace: Tone 440");
    await press(arrival, "Ocean");
    assert.deepEqual(await names(), ["Strings", "Tone 330", "Ocean"]);
    await press(rest, "Change music: Rest");
    await press(rest, "Add music");
    await press(rest, "Silence");
    await press(page, "Save");
    await page.getByText("Saved. The earlier version is kept.").waitFor();
    assert.equal(await text(), evening.replace("music: music/Strings/ # soft\n", "music:  # soft\n      - music/Strings/\n      - music/Strings/07 tone 330.flac\n      - {bed: ocean}\n").replace("music: {bed: rain}", "music: silence"));
    await page.locator(".picture").waitFor();
    await eventually("its titles are known", async () => (await phase(page, "Arrival").locator(".music .line p").innerText()).includes("Strings, Tone 330, Ocean"));
    await end();
  });
}

test("a new folder of music is in a phase and saved after six taps", async () => {
  const { page, r, text, end } = await a();
  let taps = 0;
  const tap = async (label) => { taps++; await press(page, label); };
  await page.locator(".cards .row").first().waitFor();
  await settled(page);
  taps++;
  await tapped(page.locator(".key", { has: page.getByText("Music", { exact: true }) }).first());
  await page.locator(".list .row", { hasText: "Evening" }).waitFor();
  await settled(page);
  taps++;
  await tapped(page.locator(".list .row", { hasText: "Evening" }).first());
  taps++; // the key that opens the computer's own choice of a folder
  await page.locator("input[webkitdirectory]").setInputFiles(join(mine, "Strings"));
  await page.getByText("3 of 3 files are in the room.").waitFor();
  taps++;
  await page.getByLabel("Use in").selectOption("Rest");
  await look(page, "brought", ".use");
  await tap("Replace instead of its music");
  await page.getByText("Strings: now in Rest. Save to keep it.").waitFor();
  await tap("Save");
  await page.getByText("Saved. The earlier version is kept.").waitFor();
  assert.ok(taps <= 6, `${taps} taps`);
  assert.equal(await text(), evening.replace("music: {bed: rain}", "music: music/Strings/"));
  // One file, which lies under another name since there is one of its own.
  await mkdir(join(r.data, "playlists", "music", "new"), { recursive: true });
  await writeFile(join(r.data, "playlists", "music", "new", "06 tone 392.flac"), "x");
  await page.locator("input[type=file]:not([webkitdirectory])").setInputFiles(join(mine, "Loose", "06 tone 392.flac"));
  await page.getByText("4 of 4 files are in the room.").waitFor();
  await page.getByLabel("Use in").selectOption("Arrival");
  await press(page, "Replace instead of its music");
  await press(page, "Save");
  await eventually("it is saved", async () => (await text()).includes('"music/new/06 tone 392 2.flac"') || (await text()).includes("music/new/06 tone 392 2.flac"));
  await end();
});

test("unsaved changes stay: on another page, over a reload, without a line, and over a change elsewhere", async () => {
  const { page, r, text, desk, shelf, end } = await a({ "evening.yaml": evening, "other.yaml": evening.replace("Evening", "Other") });
  await shelf();
  await desk();
  const minutes = () => phase(page, "Arrival").getByLabel("Minutes", { exact: true }).first();
  await minutes().fill("7"); // the field still has the cursor
  await page.getByText("Unsaved changes", { exact: true }).first().waitFor();
  await tapped(page.locator(".list .row", { hasText: "Other" }));
  await page.locator(".list .row", { hasText: "Evening" }).filter({ hasText: "Unsaved changes" }).waitFor();
  await tapped(page.locator(".list .row", { hasText: "Evening" }));
  await page.locator(".save", { hasText: "Unsaved changes" }).waitFor();
  assert.equal(await minutes().inputValue(), "7");
  await press(page, "Back to the start");
  await page.reload();
  await desk();
  await page.getByText("Your unsaved changes are still here.").waitFor();
  assert.equal(await minutes().inputValue(), "7");
  await look(page, "unsaved", ".save");

  await page.context().setOffline(true);
  await press(page, "Save");
  await page.getByText("The room does not answer. Nothing was saved; try again.").waitFor();
  assert.equal(await minutes().inputValue(), "7");
  await page.context().setOffline(false);

  // An engineer changes the file meanwhile, all at once: half a file would be a change of its own.
  const file = join(r.data, "playlists", "evening.yaml");
  const change = async (to) => {
    await writeFile(join(r.data, "new"), to);
    await rename(join(r.data, "new"), file);
  };
  await change(evening.replace("length: 1m", "length: 2m"));
  await page.getByText("This playlist was changed elsewhere").waitFor();
  await look(page, "elsewhere", ".elsewhere");
  await press(page, "Keep my changes and the other ones");
  await press(page, "Save");
  await page.getByText("Saved. The earlier version is kept.").waitFor();
  assert.equal(await text(), evening.replace("length: 1m", "length: 2m").replace("length: 3m", "length: 7m"));

  // And again, in the moment of a save, before the page could see it.
  await page.route("**/playlists/evening/file", async (route) => {
    if (route.request().method() === "PUT") await change(evening);
    await route.continue();
  });
  await minutes().fill("8");
  await press(page, "Save");
  await page.getByText("This playlist was changed elsewhere").waitFor();
  await page.unroute("**/playlists/evening/file");
  await press(page, "Drop my changes keep the other ones");
  await eventually("the file is shown", async () => (await minutes().inputValue()) === "3");
  assert.equal(await text(), evening);
  await press(page, "Undo"); // a tap too fast
  await page.getByText("This playlist was changed elsewhere").waitFor();
  assert.equal(await minutes().inputValue(), "8");
  await press(page, "Drop my changes keep the other ones");
  await eventually("nothing waits", async () => (await page.evaluate(() => localStorage.getItem("draft evening"))) === null);
  await end();
});

test("no number is lost: with a comma, half typed, in another playlist, on another screen, over a session and a reload", async () => {
  const { page, r, text, desk, end } = await a({ "evening.yaml": evening, "other.yaml": evening.replace("Evening", "Other") });
  await desk();
  const field = (name, label) => phase(page, name).getByLabel(label, { exact: true }).first();
  await field("Arrival", "Minutes").pressSequentially("", { delay: 1 });
  await field("Arrival", "Minutes").fill("");
  await field("Arrival", "Minutes").pressSequentially("7,5");
  await field("Rest", "Level, dB").fill("-");
  const asks = "Rest, Level, dB: type a number from -40 to 12. Until then it can’t be saved.";
  const still = async (where) => {
    assert.equal(await field("Rest", "Level, dB").inputValue(), "-", where);
    assert.equal(Number((await field("Arrival", "Minutes").inputValue()).replace(",", ".")), 7.5, where);
  };
  await page.getByText(asks).waitFor();
  await press(page, "Save");
  await page.getByText(asks).waitFor();
  assert.equal(await text(), evening);
  const elsewhere = async (name) => {
    await tapped(page.locator(".list .row", { hasText: name }));
    await phase(page, "Arrival").waitFor();
  };
  await elsewhere("Other");
  await elsewhere("Evening");
  await still("another playlist");
  await press(page, "Back to the start");
  await press(page, "Room");
  await page.locator("main h1", { hasText: "The room" }).waitFor();
  await press(page, "Back to the start");
  await desk();
  await still("another screen");
  await r.command({ do: "start", playlist: "other" });
  await page.locator(".elapsed").waitFor();
  await r.command({ do: "abort" });
  await page.getByText("The session has ended").waitFor();
  await press(page, "Back to the start");
  await phase(page, "Arrival").waitFor(); // the desk was open when the session began
  await still("a session");
  await page.reload();
  await desk();
  await still("a reload");
  await field("Rest", "Level, dB").fill("-9");
  await press(page, "Save");
  await page.getByText("Saved. The earlier version is kept.").waitFor();
  assert.equal(await text(), evening.replace("length: 3m", "length: 7m30s").replace("level: -6", "level: -9"));
  await end();
});

test("what is changed while it is being saved is not overwritten by what was saved", async () => {
  const { page, text, desk, end } = await a();
  await desk();
  const minutes = (name) => phase(page, name).getByLabel("Minutes", { exact: true }).first();
  await minutes("Arrival").fill("4");
  let go;
  const held = new Promise((ok) => (go = ok));
  await page.route("**/evening/file", async (route) => {
    if (route.request().method() === "PUT") await held;
    await route.continue();
  });
  await press(page, "Save");
  await minutes("Rest").fill("2");
  const saved = page.waitForResponse((res) => res.request().method() === "PUT");
  go();
  await saved;
  await eventually("the first change is in the file", async () => (await text()).includes("length: 4m"));
  await settled(page);
  assert.equal(await minutes("Rest").inputValue(), "2");
  await press(page, "Save");
  await eventually("the second one too", async () => (await text()) === evening.replace("length: 3m", "length: 4m").replace("length: 1m", "length: 2m"));
  await end();
});

test("earlier versions are listed, compared and restored, and that can be undone", async () => {
  const { page, r, text, desk, shelf, end } = await a();
  await shelf();
  await desk();
  const arrival = phase(page, "Arrival");
  await arrival.getByLabel("Minutes", { exact: true }).first().fill("4");
  await press(arrival, "Change music: Arrival");
  await press(arrival, "Add music");
  await press(arrival, "Rain");
  await press(page, "Save");
  await page.getByText("Saved. The earlier version is kept.").waitFor();
  const saved = await text();
  await press(page, "Earlier versions");
  const versions = page.locator(".versions");
  await versions.getByText("Until just now").waitFor();
  assert.equal(await versions.getByText("2 phases · 4 min").count(), 1);
  await look(page, "versions", ".versions");
  await tapped(versions.locator("li .row").first());
  await versions.getByRole("row", { name: "Arrival length 3 min 4 min" }).waitFor();
  await versions.getByRole("row", { name: /Arrival music Strings Strings, Rain/ }).waitFor();
  await look(page, "compare", ".versions");
  assert.equal(await versions.locator("pre").isVisible(), false);
  await press(versions, "Restore this version");
  await page.getByText("Restored. The version before is kept, too.").waitFor();
  assert.equal(await text(), evening);
  await eventually("it is a version too", () => versions.locator("li .row").nth(1).isVisible());
  await tapped(versions.locator("li .row").first());
  await press(versions, "Restore this version");
  await eventually("the restoring is undone", async () => (await text()) === saved);
  // With unsaved changes nothing is restored over them.
  await arrival.getByLabel("Minutes", { exact: true }).first().fill("5");
  await tapped(versions.locator("li .row").first());
  assert.equal(await versions.locator(".key", { hasText: "Restore this version" }).getAttribute("aria-disabled"), "true");

  // A file that an editor has broken is shown as text, and a version brings it back.
  await press(page, "Discard changes");
  await writeFile(join(r.data, "playlists", "evening.yaml"), saved.replace("name: Evening", "name: ["));
  await page.locator("textarea").waitFor();
  await press(versions, "Other versions");
  await tapped(versions.locator("li .row").first());
  await versions.getByText("The playlist has errors now. This version has none.").waitFor();
  await look(page, "broken", ".versions");
  await press(versions, "Restore this version");
  await phase(page, "Arrival").waitFor();
  assert.equal((await text()).includes("name: ["), false);
  await eventually("the broken text is kept too", async () => (await r.get("/api/v1/playlists/evening/versions"))[0].phases === 0);

  const watcher = await tablet();
  await watcher.page.goto(r.url + (await r.pair("--observer")).link);
  await watcher.page.locator(".cards .row").first().waitFor();
  assert.deepEqual(await watcher.page.evaluate(() => Promise.all(["versions", "versions/1", "file"].map(async (p) => (await fetch(`/api/v1/playlists/evening/${p}`)).status))), [403, 403, 403]);
  await watcher.context.close();
  await end();
});

test("a playlist whose name is taken says which ID it has", async () => {
  const { page, r, desk, end } = await a({ "evening.yml": evening });
  await desk();
  const file = join(mine, "evening.yaml");
  await writeFile(file, evening);
  await page.locator("input[type=file]:not([webkitdirectory])").setInputFiles(file);
  await page.getByText("1 of 1 file is in the room.").waitFor();
  await page.getByText("The playlist that you brought is “evening-2” here: another one is already called “evening”.").waitFor();
  await look(page, "renamed", "section[aria-label='Bring music']");
  await eventually("it is a playlist", async () => (await r.get("/api/v1/playlists")).some((p) => p.id === "evening-2"));
  const newcomer = page.locator(".list .row", { hasText: "evening-2" });
  await newcomer.waitFor();
  await tapped(newcomer);
  await page.locator(".problems", { hasText: "Another playlist is already called \"evening\", so this one is called \"evening-2\". Rename the file." }).waitFor();
  await look(page, "newcomer", ".problems");
  assert.equal((await r.get("/api/v1/playlists/evening/file")).file, "evening.yml");
  await end();
});
