// The music at a desk, on the real binary: brought, looked at, listened to, changed.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import { eventually, room } from "./room.js";
import { tapped } from "./settled.js";
import { close, tablet } from "./tablet.js";

const evening = `# what I like for the evening
name: Evening
phases:
  - {name: Arrival, stage: preparation, length: 3m, music: music/Strings/, order: listed, crossfade: 6s} # soft
  - {name: Rest, stage: integration, length: 1m, music: rain, level: -6}
`;

let willow, mine, sticks; // mine is a folder on whoever's computer it is; sticks are mounted below sticks
before(async () => {
  sticks = await mkdtemp(join(tmpdir(), "roomd-sticks-"));
  process.env.ROOMD_STICKS = sticks;
  willow = await room({ "evening.yaml": evening });
  mine = await mkdtemp(join(tmpdir(), "roomd-music-"));
  await mkdir(join(mine, "Strings"));
  for (const [k, hz] of [220, 277, 330].entries())
    await promisify(execFile)("ffmpeg", ["-v", "error", "-f", "lavfi", "-i", `sine=${hz}:d=50,volume=-12dB`, "-ac", "2", "-metadata", `title=Tone ${hz}`, join(mine, "Strings", `0${k + 1} tone.flac`)]);
  await writeFile(join(mine, "Strings", ".DS_Store"), "x");
});
after(async () => {
  await close();
  await willow.close();
  await rm(mine, { recursive: true, force: true });
});

const key = (page, label) => page.locator(".key, .row", { has: page.getByText(label, { exact: true }) }).first();
async function press(page, label) {
  await tapped(key(page, label));
}

async function desk(more = {}) {
  const t = await tablet(more);
  // What is played is noted, and over twenty times sooner.
  await t.page.addInitScript(() => {
    globalThis.heard = [];
    const start = AudioBufferSourceNode.prototype.start;
    AudioBufferSourceNode.prototype.start = function () {
      const samples = this.buffer.getChannelData(0);
      globalThis.heard.push({ seconds: this.buffer.duration, rms: Math.sqrt(samples.reduce((s, v) => s + v * v, 0) / samples.length) });
      this.playbackRate.value = 20;
      start.call(this);
    };
  });
  await t.page.goto(willow.url + (await willow.pair()).link);
  await t.page.locator(".cards .row").first().waitFor();
  await press(t.page, "Music");
  await t.page.locator("main h1", { hasText: "Music" }).waitFor();
  return t;
}

test("a playlist from nothing to heard", async (t) => {
  const { page, context, faults } = await desk();

  await t.test("a folder is brought, without what the computer keeps in it", async () => {
    await press(page, "Evening");
    await page.getByText("“music/Strings/” is not there").or(page.getByText("music/Strings/").first()).first().waitFor();
    await page.locator("input[webkitdirectory]").setInputFiles(join(mine, "Strings"));
    await page.getByText("3 of 3 files are in the room.").waitFor();
    assert.deepEqual(await readdir(join(willow.data, "playlists", "music", "Strings")), ["01 tone.flac", "02 tone.flac", "03 tone.flac"]);
  });

  await t.test("the picture shows it, each track by its title", async () => {
    await page.locator(".clips", { hasText: "Tone 220" }).waitFor();
    await eventually("it is measured", async () => {
      const v = await willow.get("/api/v1/playlists/evening/arc");
      return v.clips.length >= 4 && v.joins.length >= 3 && !(await willow.get("/api/v1/playlists")).find((p) => p.id === "evening").warnings.some((w) => w.includes("measured"));
    }, 20_000);
    await page.getByRole("slider").fill("60000");
    await page.getByText("0:01:00").waitFor();
    await page.locator(".here", { hasText: "Tone 277" }).waitFor();
    await page.getByRole("slider").press("ArrowRight");
    await page.getByText("0:01:01").waitFor();
  });

  await t.test("a moment of it is heard on the tablet, as loud as in the session", async () => {
    await press(page, "Listen here");
    const [heard] = await eventually("it is heard", () => page.evaluate(() => (globalThis.heard.length ? globalThis.heard : null)));
    assert.ok(Math.abs(heard.seconds - 20) < 0.001, `${heard.seconds} s`);
    // −23 LUFS of a tone in both channels, near 300 Hz: an RMS of −22 dBFS or so
    const db = 20 * Math.log10(heard.rms);
    assert.ok(db > -27 && db < -19, `${db} dBFS`);
    await eventually("it has ended", async () => (await key(page, "Stop").getAttribute("aria-disabled")) === "true");
  });

  await t.test("its joins are heard one after the other", async () => {
    const { joins } = await willow.get("/api/v1/playlists/evening/arc");
    await page.evaluate(() => {
      globalThis.heard.length = 0;
      globalThis.said = [];
      new MutationObserver(() => {
        const says = document.body.innerText.match(/Join \d of \d/)?.[0];
        if (says && says !== globalThis.said.at(-1)) globalThis.said.push(says);
      }).observe(document.body, { subtree: true, characterData: true, childList: true });
    });
    await press(page, "Joins");
    const heard = await eventually("each is heard", () => page.evaluate((n) => (globalThis.heard.length === n ? globalThis.heard : null), joins.length));
    for (const [k, h] of heard.entries()) assert.ok(Math.abs(h.seconds - (joins[k].to_ms - joins[k].from_ms) / 1000 - 8) < 0.01 && h.rms > 0.001, JSON.stringify([h, joins[k]]));
    assert.deepEqual(await page.evaluate(() => globalThis.said), joins.map((_, k) => `Join ${k + 1} of ${joins.length}`));
    await eventually("it has ended", async () => (await key(page, "Stop").getAttribute("aria-disabled")) === "true");
  });

  await t.test("a moment of it is heard in the room, until it is told to be quiet", async () => {
    await press(page, "Listen in the room");
    await eventually("the room plays", async () => (await willow.state()).checking);
    await press(page, "Stop the room’s sound");
    await eventually("the room is quiet", async () => !(await willow.state()).checking);
  });

  await t.test("it is rehearsed: the clock runs faster, the lamps follow, and nobody hears it", async () => {
    await page.getByRole("slider").fill("150000");
    await page.getByLabel("Times as fast").selectOption("10");
    await press(page, "Rehearse from here");
    await eventually("the next phase", async () => (await willow.state()).rehearsal?.phase === "Rest");
    await eventually("the line is taken along", async () => Number(await page.getByRole("slider").inputValue()) > 180_000);
    assert.ok(!(await willow.state()).session);
    await press(page, "End rehearsal");
    await eventually("it is over", async () => !(await willow.state()).rehearsal);
  });

  await t.test("a phase is made longer and softer: the file keeps its comments, the picture follows", async () => {
    const arrival = page.locator("ol li", { hasText: "Arrival" });
    await arrival.getByLabel("Minutes", { exact: true }).first().fill("4");
    await arrival.getByLabel("Level, dB").fill("-3");
    await arrival.getByLabel("Level, dB").blur();
    await press(page, "Save");
    await page.getByText("Saved. The earlier version is kept.").waitFor();
    const text = await readFile(join(willow.data, "playlists", "evening.yaml"), "utf8");
    assert.ok(text.startsWith("# what I like for the evening\n") && text.includes("# soft") && /length: 4m/.test(text) && /level: -3/.test(text), text);
    assert.equal(await readFile(join(willow.data, "playlists", ".versions", "evening.1.yaml"), "utf8"), evening);
    await page.locator(".picture", { hasText: "4 min" }).waitFor();
  });

  await t.test("a text that can't be played is not written: it is said where, and how to write it", async () => {
    const was = await readFile(join(willow.data, "playlists", "evening.yaml"), "utf8");
    await press(page, "As text");
    await page.locator("textarea").fill(was.replace("order: listed", "order: lister"));
    await press(page, "Save");
    await page.getByText("Not saved").waitFor();
    const said = await page.locator(".problems li").first().innerText();
    assert.match(said, /^4:\d+ .*lister[\s\S]*\n +\^$/);
    assert.match(said, /listed/);
    assert.equal(await readFile(join(willow.data, "playlists", "evening.yaml"), "utf8"), was);
    await press(page, "Discard changes");
    await press(page, "As phases");
    await page.locator("ol li").first().waitFor();
  });

  await t.test("a stick that is plugged in is shown, and copied", async () => {
    // A stick has its files when it comes: this one is filled elsewhere.
    const filled = await mkdtemp(join(tmpdir(), "roomd-stick-"));
    await mkdir(join(sticks, "MUSIC"));
    try {
      await promisify(execFile)("mount", ["-t", "tmpfs", "-o", "size=8m", "stick", filled]);
    } catch {
      return t.diagnostic("a stick can't be mounted here: root can");
    }
    try {
      await mkdir(join(filled, "Bells"));
      await writeFile(join(filled, "Bells", "one.flac"), await readFile(join(mine, "Strings", "01 tone.flac")));
      await promisify(execFile)("mount", ["--bind", filled, join(sticks, "MUSIC")]);
      await page.getByText("1 file,").waitFor();
      await press(page, "Copy");
      await page.locator(".stick", { hasText: "1 of 1 file is in the room." }).waitFor();
      assert.deepEqual(await readdir(join(willow.data, "playlists", "usb", "MUSIC", "Bells")), ["one.flac"]);
      await page.getByLabel("Use in").selectOption("Rest");
      await tapped(page.locator(".use .key").first());
      await page.getByText("MUSIC: now in Rest. Save to keep it.").waitFor();
      await press(page, "Discard changes");
    } finally {
      for (const at of [join(sticks, "MUSIC"), filled]) await promisify(execFile)("umount", ["-l", at]);
      await rm(filled, { recursive: true });
    }
    await page.getByText("1 file,").waitFor({ state: "detached" });
  });

  await t.test("a playlist that came with roomd is made a file of its own", async () => {
    await press(page, "Ten-minute tour");
    await press(page, "Make it a file");
    await page.locator("ol li").nth(2).waitFor();
    assert.match(await readFile(join(willow.data, "playlists", "tour.yaml"), "utf8"), /^# yaml-language-server: /);
  });

  assert.deepEqual(faults, []);
  await context.close();
});

test("an upload that a power cut interrupts goes on, and is whole", async () => {
  const { page, context } = await desk();
  const whole = randomBytes(40 << 20);
  const file = join(mine, "long.wav");
  const head = Buffer.alloc(44);
  head.write("RIFF", 0); head.writeUInt32LE(36 + whole.length, 4); head.write("WAVEfmt ", 8);
  head.writeUInt32LE(16, 16); head.writeUInt16LE(1, 20); head.writeUInt16LE(2, 22); head.writeUInt32LE(48000, 24); head.writeUInt32LE(192000, 28); head.writeUInt16LE(4, 32); head.writeUInt16LE(16, 34);
  head.write("data", 36); head.writeUInt32LE(whole.length, 40);
  await writeFile(file, Buffer.concat([head, whole]));
  const cdp = await context.newCDPSession(page);
  await cdp.send("Network.emulateNetworkConditions", { offline: false, latency: 0, downloadThroughput: -1, uploadThroughput: 12 << 20 });
  await page.locator("input[type=file]:not([webkitdirectory])").setInputFiles(file);
  const sent = async () => Number(await page.getByRole("progressbar").getAttribute("aria-valuenow"));
  await eventually("half of it is sent", async () => (await sent()) >= 50);
  await willow.kill();
  assert.ok((await sent()) < 100);
  await willow.start();
  await page.locator("section > p", { hasText: "1 of 1 file" }).waitFor();
  const there = await readFile(join(willow.data, "playlists", "music", "new", "long.wav"));
  const sum = (b) => createHash("sha256").update(b).digest("hex");
  assert.equal(sum(there), sum(await readFile(file)));
  await context.close();
});

test("who may only watch finds no desk, and a session closes it", async () => {
  const watcher = await tablet();
  await watcher.page.goto(willow.url + (await willow.pair("--observer")).link);
  await watcher.page.locator(".cards .row").first().waitFor();
  assert.equal(await key(watcher.page, "Music").count(), 0);
  await watcher.context.close();
  const { page, context, faults } = await desk();
  await willow.command({ do: "start", playlist: "starter/tour" });
  await page.locator(".elapsed").waitFor();
  assert.equal(await key(page, "Listen here").count(), 0);
  await willow.command({ do: "abort" });
  assert.deepEqual(faults, []);
  await context.close();
});
