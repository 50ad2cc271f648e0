// A fresh room, set up by its page alone: from an empty data folder to a session that is heard and seen, on a real broker with bulbs
// and a real sound device; and what is changed then without a restart.
import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, test } from "node:test";
import { bulbs, card, mosquitto } from "./peers.js";
import { eventually, patience, room } from "./room.js";
import { settled, tapped } from "./settled.js";
import { close, tablet } from "./tablet.js";

const open = [];
after(async () => {
  await close();
  for (const peer of open.reverse()) await peer.close();
});
const kept = async (peer) => {
  const p = await peer;
  open.push(p);
  return p;
};

const key = (page, label) => page.locator(".key", { has: page.getByText(label, { exact: true }) }).first();

/** click taps a control, a while after the last tap: on a new screen the page takes no tap for 0.4 s. */
async function click(page, label) {
  await key(page, label).waitFor();
  await tapped(key(page, label));
}

async function press(page, label) {
  await settled(page);
  const cdp = await page.context().newCDPSession(page);
  await key(page, label).scrollIntoViewIfNeeded();
  const box = await key(page, label).boundingBox();
  const at = { x: box.x + box.width / 2, y: box.y + box.height / 2 };
  await cdp.send("Input.dispatchTouchEvent", { type: "touchStart", touchPoints: [at] });
  await page.waitForTimeout(1500);
  await cdp.send("Input.dispatchTouchEvent", { type: "touchEnd", touchPoints: [] });
  await cdp.detach();
}

const title = (page, text) => page.locator("h1", { hasText: text }).waitFor();
const lamp = (page, name) => page.locator(".places .row", { has: page.getByText(name, { exact: true }) });
async function place(page, name, where) {
  await lamp(page, name).waitFor();
  await tapped(lamp(page, name));
  await click(page, where);
  await page.getByRole("region", { name: where }).getByText(name, { exact: true }).waitFor();
}
const yaml = (willow) => readFile(join(willow.data, "room.yaml"), "utf8").catch(() => "");

/** begun is a session that a tap has started. */
const begun = (page) => page.locator("section.strip").waitFor();

test("from an empty data folder to a session by the page alone; then a sound device and a lamp are changed without a restart", async () => {
  const dac = await kept(card()), broker = await kept(mosquitto());
  await dac.second("second");
  const zigbee = await kept(bulbs(broker.url));
  const willow = await kept(room({}, null, undefined, dac.env));
  assert.equal(await yaml(willow), "");
  const { page, context, faults } = await tablet();
  page.setDefaultTimeout(patience);
  await page.goto(willow.url + (await willow.pair()).link);

  // Name and language.
  await title(page, "Name and language");
  await page.getByLabel("What is the room called?").fill("Birch");
  await click(page, "Deutsch");
  await title(page, "Name und Sprache");
  await click(page, "English");
  await click(page, "Next");

  // Sound: heard before it is chosen.
  await title(page, "Sound");
  const device = page.locator(".part li", { hasText: "fake USB DAC" });
  await device.waitFor();
  await tapped(device.getByRole("button", { name: "Play" }));
  await page.getByText("It played for five seconds").waitFor();
  assert.match(await dac.log(), /start/i);
  await click(page, "Softer");
  await click(page, "Next");

  // Lamps: by the address of a hub; each is lit by a tap.
  await title(page, "Lamps");
  await tapped(page.locator("summary", { hasText: "By its address" }));
  await page.getByLabel("Address").fill(broker.host);
  await click(page, "Connect");
  await lamp(page, "room1/hue1").or(lamp(page, "hue1")).waitFor();
  const named = async (name) => ((await lamp(page, name).count()) ? name : "room1/" + name);
  const [hue1, hue2, ikea1] = await Promise.all(["hue1", "hue2", "ikea1"].map(named));
  await place(page, hue1, "Room light");
  await eventually("the lamp has shown itself", async () => (await zigbee.lit("hue1")).some((e) => e.on && e.v > 5)).catch(async (e) => {
    throw new Error(`${await page.locator("main").innerText()}\n${willow.log()}`, { cause: e });
  });
  await place(page, ikea1, "Small light");
  await click(page, "Next");

  // The first playlist is there; ready.
  await title(page, "First playlist");
  await page.locator(".part li").first().waitFor();
  await click(page, "Next");
  await title(page, "Ready");
  await page.getByText("fake USB DAC").waitFor();
  await page.getByText(`Room light: ${hue1} · Small light: ${ikea1}`).waitFor();
  await click(page, "Go to the start");
  await page.locator(".verdict").waitFor();
  const text = await yaml(willow);
  for (const line of [/room: Birch/, /device: "?usbdac/, /reference: -25/, /broker: .*127\.0\.0\.1/, /hue1/, /ikea1/]) assert.match(text, line);

  // The session is heard and seen.
  await eventually("the sound device is used", async () => ["playing", "resting"].includes((await willow.state()).sound.state));
  await click(page, "Start");
  await begun(page);
  const before = (await zigbee.lit("ikea1")).length;
  const played = (await dac.log()).length;
  await eventually("a lamp follows the session", async () => (await zigbee.lit("ikea1")).length > before);
  await eventually("it is heard", async () => (await willow.state()).sound.state === "playing");
  assert.ok(played > 0);
  assert.equal((await willow.state()).room, "Birch");
  await willow.command({ do: "abort" });
  await page.locator("h1", { hasText: "ended" }).waitFor();
  await click(page, "Back to the start");

  // Another sound device; the process is the same one to the end.
  await click(page, "Room");
  const step = async (name) => {
    await page.locator(".steps .row", { hasText: name }).waitFor();
    await tapped(page.locator(".steps .row", { hasText: name }));
    await title(page, name);
    await settled(page);
  };
  await step("Sound");
  await tapped(page.locator(".part .row", { hasText: "second DAC" }));
  await click(page, "Save");
  await eventually("the other device is used", async () => /second/.test((await willow.state()).sound.output));
  await click(page, "Back");

  // Another lamp, without a restart: both bulbs of the role move as one group.
  await step("Lamps");
  await place(page, hue2, "Room light");
  await click(page, "Save");
  await eventually("the room's light is a group", async () => /group|birch/i.test(await yaml(willow)) && !/hue1/.test((await yaml(willow)).split("accent")[0].split("lights")[1]));
  await click(page, "Back");
  await page.locator("ul.steps").waitFor();
  const lit = (await zigbee.lit("hue2")).length;
  await eventually("the light is the room's", async () => {
    await willow.command({ do: "scene", scene: "day" });
    return (await zigbee.lit("hue2")).length > lit;
  }, 30_000);

  // A file that somebody breaks by hand: the last good one stays, and the page says where the fault is.
  const good = await yaml(willow);
  await writeFile(join(willow.data, "room.yaml"), good.replace("room: Birch", "room: Alder\nlihgts: 3"));
  await settled(page);
  await step("Name and language");
  await page.getByText(/room\.yaml:\d+:\d+/).first().waitFor();
  assert.equal(await page.getByLabel("What is the room called?").inputValue(), "Birch");
  assert.equal((await willow.state()).room, "Birch");
  await writeFile(join(willow.data, "room.yaml"), good.replace("room: Birch", "room: Alder"));
  await eventually("the mended file is in use", async () => (await willow.state()).room === "Alder");
  await page.getByText(/room\.yaml:\d+:\d+/).waitFor({ state: "detached" });
  assert.deepEqual(faults, []);
  await context.close();
});

test("everything is left for later, and the room works: no sound, simulated lamps", async () => {
  const willow = await kept(room({}, null, undefined, { ALSA_CONFIG_PATH: "/nonexistent" }));
  const { page, context, faults } = await tablet({ size: [390, 844] });
  page.setDefaultTimeout(patience);
  await page.goto(willow.url + (await willow.pair()).link);
  await title(page, "Name and language");
  await click(page, "Later");
  await title(page, "Sound");
  await click(page, "Later");
  await title(page, "Lamps");
  await click(page, "No lamps yet");
  await title(page, "First playlist");
  await click(page, "Later");
  await title(page, "Ready");
  await click(page, "Go to the start");
  await page.locator(".verdict").waitFor();
  await press(page, "Start without sound");
  await begun(page);
  assert.equal(await page.evaluate(() => scrollY), 0); // a session's page begins at its top
  const s = await willow.state();
  assert.equal(s.session.state, "running");
  assert.ok(Object.values(s.lights).length > 0 && Object.values(s.lights).every((r) => r.lamps.every((l) => l.drawn)), JSON.stringify(s.lights));
  assert.deepEqual(faults, []);
  await context.close();
});

test("a session that begins during the walk has the page, and nothing is changed in it", async () => {
  const willow = await kept(room(undefined, null));
  const { page, context } = await tablet();
  page.setDefaultTimeout(patience);
  await page.goto(willow.url + (await willow.pair()).link);
  await title(page, "Name and language");
  await page.getByLabel("What is the room called?").fill("Birch");
  await willow.command({ do: "start", playlist: "short" });
  await page.locator(".elapsed").waitFor();
  const put = await page.evaluate(async () => {
    const r = await fetch("/api/v1/setup", { method: "PUT", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ room: "Birch" }) });
    return [r.status, (await r.json()).code];
  });
  assert.deepEqual(put, [409, "setup-in-session"]);
  assert.equal(await yaml(willow), "");
  await willow.command({ do: "abort" });
  await click(page, "Back to the start");
  await title(page, "Name and language"); // the walk goes on, with what was typed
  assert.equal(await page.getByLabel("What is the room called?").inputValue(), "Birch");

  // A rehearsal: the step is read only, until it is over.
  await willow.command({ do: "rehearse", playlist: "short", speed: 1 });
  await page.getByText("this can be changed after the session").waitFor();
  assert.equal(await key(page, "Next").getAttribute("aria-disabled"), "true");
  await willow.command({ do: "silence" });
  await page.getByText("this can be changed after the session").waitFor({ state: "detached" });
  await click(page, "Next");
  await title(page, "Sound");
  await eventually("the name is in the file", async () => /room: Birch/.test(await yaml(willow)));
  await context.close();
});
