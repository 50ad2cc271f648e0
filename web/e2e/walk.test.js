// The walk through a fresh room's set-up, and its steps under Room, against a room that answers as it is told: what is tapped, dragged
// and typed, and what is asked of the room then.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { eventually } from "./room.js";
import { setup, snapshot } from "./scenes.js";
import { settled, tapped } from "./settled.js";
import { close, show, tablet } from "./tablet.js";

after(close);

const key = (page, label) => page.locator(".key", { has: page.getByText(label, { exact: true }) }).first();

/** click taps a control, a while after the last tap. */
async function click(page, label) {
  await tapped(key(page, label));
}

/** step opens a part of the set-up, on the Room screen. */
async function step(page, name) {
  const row = page.locator(".steps .row", { hasText: name });
  await row.waitFor();
  await tapped(row);
}

const title = (page, text) => page.locator("h1", { hasText: text }).waitFor();

/** standing is a page of a room that stands as is says. asked is what it was asked beside how it stands; answer may say otherwise,
 * as [status, body]. */
async function standing(is, { size, snap = snapshot(null), answer = () => undefined, ...more } = {}) {
  const t = await tablet({ size, ...more });
  const room = { ...t, is, asked: [] };
  room.line = await show(t.page, snap, undefined, async (route) => {
    const r = route.request(), { pathname } = new URL(r.url());
    if (!pathname.startsWith("/api/v1/setup")) return false;
    const at = pathname.replace("/api/v1/setup", ""), body = r.postDataJSON();
    if (r.method() !== "GET" && at !== "/look") room.asked.push([at, body]);
    const other = r.method() === "GET" ? undefined : await answer(at, body, room);
    if (other) await route.fulfill({ status: other[0], json: other[1] }).catch(() => {});
    else {
      if (r.method() === "PUT") room.is = put(room.is, body);
      await route.fulfill(r.method() === "GET" || r.method() === "PUT" || at === "/look" ? { json: room.is } : { status: 204 });
    }
    return true;
  });
  await settled(t.page);
  return room;
}

/** told waits until the room is asked as much as is wanted, and forgets it: the page shows what it does a moment before it asks. */
async function told(asked, want) {
  await eventually("the room is asked", () => asked.length >= want.length);
  assert.deepEqual(asked.splice(0), want);
}

/** put is how the room stands with a change. */
const put = (is, c) => ({
  ...is, room: c.room ?? is.room, fresh: is.fresh && !c.done,
  sound: { ...is.sound, device: c.device ?? is.sound.device, reference: c.reference ?? is.sound.reference },
  lights: { ...is.lights, ...(c.broker ? { broker: c.broker, broker_state: "connected" } : {}), offers: is.lights.offers.map((o) => (c.lights ? { ...o, role: Object.keys(c.lights).find((r) => c.lights[r].some((l) => l.topic === o.topic)) ?? "" } : o)) },
});
const fresh = (change) => setup({ fresh: true, ...change });
const lamp = (name) => ({ driver: "zigbee2mqtt", topic: "zigbee2mqtt/room1/" + name });

test("the walk asks for one thing at a time, and each step can be left for later", async () => {
  const { page, context, asked, faults } = await standing(fresh());
  await title(page, "Name and language");
  await page.getByLabel("What is the room called?").fill("Birch");
  await click(page, "Next");
  await title(page, "Sound");
  await told(asked, [["", { room: "Birch" }]]);

  // What was changed is left where the step is left for later.
  await click(page, "Louder");
  await page.getByText("1 step louder").waitFor();
  await click(page, "Later");
  await title(page, "Lamps");
  await click(page, "No lamps yet");
  await title(page, "First playlist");
  await click(page, "Bring your own music");
  await page.locator(".picture").waitFor();
  await click(page, "Back to the start");
  await title(page, "First playlist");
  await page.reload(); // it goes on where it was
  await title(page, "First playlist");
  await click(page, "Next");
  await title(page, "Ready");
  await page.getByText("You can change all of this later").waitFor();
  assert.deepEqual(asked, []);
  await click(page, "Go to the start");
  await page.locator(".verdict").waitFor();
  await told(asked, [["", { done: true }]]);
  await page.reload();
  await page.locator(".verdict").waitFor(); // and is not shown again
  await page.waitForTimeout(500);
  assert.equal(await page.locator(".verdict").count(), 1);
  assert.deepEqual(faults, []);
  await context.close();
});

test("the walk's last tap leads to the start once this tablet is connected to the room that was made anew", async () => {
  const { page, context, line, faults } = await standing(fresh());
  for (const next of ["Next", "Next", "No lamps yet", "Next"]) await click(page, next);
  await title(page, "Ready");
  line.muted = true;
  await page.getByText("No connection to the room").waitFor();
  await click(page, "Go to the start");
  await page.waitForTimeout(1500);
  assert.equal(await page.locator(".go").count(), 0);
  line.muted = false;
  await page.locator(".go").waitFor();
  assert.equal(await page.getByText("No connection to the room").count(), 0);
  assert.deepEqual(faults, []);
  await context.close();
});

test("who only watches, and who knows the room, is not walked through it", async () => {
  for (const [is, you] of [[fresh(), { name: "Supervision", role: "observer" }], [setup(), { name: "iPad", role: "therapist" }]]) {
    const { page, context } = await standing(is, { snap: snapshot(null, { you }) });
    await page.locator(".verdict").waitFor();
    await page.waitForTimeout(500);
    assert.equal(await page.locator(".part").count(), 0);
    await context.close();
  }
});

test("a step that the room refuses stays, and says why; the walk can be left from its first step", async () => {
  const { page, context, asked } = await standing(fresh(), { answer: (at, body) => (body?.room ? [409, { reason: "The room file has errors, so nothing was written." }] : undefined) });
  await page.getByLabel("What is the room called?").fill("Birch");
  await click(page, "Next");
  await page.getByText("nothing was written").waitFor();
  await title(page, "Name and language");
  assert.equal(await page.getByLabel("What is the room called?").inputValue(), "Birch");
  assert.equal(asked.length, 1);
  await click(page, "Back");
  await page.locator(".verdict").waitFor();
  await context.close();
});

test("a device is heard by a tap and chosen by it, at the loudness that is set, and stopped by the next", async () => {
  let end = () => {};
  const { page, context, asked } = await standing(setup(), {
    answer: async (at, body) => {
      if (body?.device === "vc4hdmi0" && at) return [502, { reason: "The device is in use. Stop the other program." }];
      if (at === "/sound/play") await new Promise((ok) => (end = ok));
    },
  });
  await click(page, "Room");
  await step(page, "Sound");
  await title(page, "Sound");
  await click(page, "Softer");
  await click(page, "Softer");
  await tapped(page.getByRole("button", { name: "Play: USB Audio DAC" }));
  await page.getByRole("button", { name: "Stop: USB Audio DAC" }).waitFor();
  await told(asked, [["/sound/play", { device: "DAC", reference: -27 }]]);
  end();
  await page.getByText("It played for five seconds").waitFor();
  await tapped(page.getByRole("button", { name: "Play: HDMI" }));
  await page.getByText("The device is in use").waitFor();
  assert.equal(await page.locator(".part .row[aria-pressed=true]").innerText().then((t) => /HDMI/.test(t)), true);
  await click(page, "Save");
  await eventually("it is saved", () => asked.at(-1)[0] === "");
  assert.deepEqual(asked.at(-1), ["", { reference: -27, device: "vc4hdmi0" }]);
  assert.equal(await key(page, "Save").getAttribute("aria-disabled"), "true");

  // A second tap ends it, and says nothing of five seconds.
  await tapped(page.getByRole("button", { name: "Play: USB Audio DAC" }));
  await tapped(page.getByRole("button", { name: "Stop: USB Audio DAC" }));
  await page.getByRole("button", { name: "Play: USB Audio DAC" }).waitFor();
  await page.waitForTimeout(200);
  assert.equal(await page.getByText("It played for five seconds").count(), 0);
  assert.equal(await page.locator(".part [role=alert]").count(), 0);
  await context.close();
});

test("loudness ends where the room file's does; a room whose sound was set by hand offers nothing", async () => {
  for (const [reference, label] of [[-40, "Softer"], [-14, "Louder"]]) {
    const { page, context } = await standing(setup({ sound: { reference } }));
    await click(page, "Room");
    await step(page, "Sound");
    await key(page, label).waitFor();
    assert.equal(await key(page, label).getAttribute("aria-disabled"), "true");
    await context.close();
  }
  for (const output of ["command", "none"]) {
    const { page, context } = await standing(setup({ sound: { output, devices: [] } }));
    await click(page, "Room");
    await step(page, "Sound");
    await page.getByText("Change that in the file").waitFor();
    assert.equal(await page.locator(".part button").count(), 0);
    await context.close();
  }
});

/** lamps is the step of the lamps, under Room. */
async function lamps(is = setup(), more) {
  const t = await standing(is, more);
  await click(t.page, "Room");
  await step(t.page, "Lamps");
  await title(t.page, "Lamps");
  await settled(t.page);
  return t;
}
const card = (page, name) => page.locator(".places .row", { hasText: name });
const place = (page, name) => page.getByRole("region", { name });
const held = (page, name) => place(page, name).locator(".row .name").allInnerTexts();

test("a tap lights a lamp and offers its places", async () => {
  const { page, context, asked } = await lamps();
  await tapped(card(page, "By the door"));
  await page.getByRole("group", { name: "The place of By the door" }).waitFor();
  await told(asked, [["/lights/show", lamp("ikea2")]]);
  await click(page, "Small light");
  assert.deepEqual(await held(page, "Small light"), ["ikea1", "By the door"]);
  assert.deepEqual(asked, []); // nothing is written before it is saved
  await click(page, "Save");
  await page.waitForTimeout(200);
  await told(asked, [["", { lights: { ambient: [lamp("hue1"), lamp("hue2")], accent: [lamp("ikea1"), lamp("ikea2")] } }]]);
  await tapped(card(page, "hue1"));
  await click(page, "Not used");
  assert.deepEqual(await held(page, "Room light"), ["hue2"]);

  // Unsaved changes are still there after another screen.
  await click(page, "Back");
  await page.getByText("Unsaved changes").waitFor();
  await context.close();
});

for (const hand of ["mouse", "finger"]) {
  test(`a lamp is dragged to its place by a ${hand}`, async () => {
    const { page, context, asked } = await lamps();
    const from = await card(page, "By the door").locator(".grip").boundingBox(), to = await place(page, "Room light").boundingBox();
    const at = { x: from.x + from.width / 2, y: from.y + from.height / 2 }, end = { x: to.x + to.width / 2, y: to.y + 30 };
    const cdp = await context.newCDPSession(page);
    const touch = (type, p) => cdp.send("Input.dispatchTouchEvent", { type, touchPoints: p ? [p] : [] });
    if (hand === "mouse") {
      await page.mouse.move(at.x, at.y);
      await page.mouse.down();
    } else await touch("touchStart", at);
    for (let k = 1; k <= 5; k++) {
      const p = { x: at.x + ((end.x - at.x) * k) / 5, y: at.y + ((end.y - at.y) * k) / 5 };
      await (hand === "mouse" ? page.mouse.move(p.x, p.y) : touch("touchMove", p));
    }
    await page.locator("section.over").waitFor();
    await (hand === "mouse" ? page.mouse.up() : touch("touchEnd"));
    assert.deepEqual(await held(page, "Room light"), ["hue1", "hue2", "By the door"]);
    assert.deepEqual(asked, []); // and was not lit by it
    await context.close();
  });
}

test("the next lamp ends the one that is lit; a room that is still busy with it is asked again", async () => {
  let busy = 2;
  const { page, context, asked } = await lamps(setup(), {
    answer: (at, body) => {
      if (body?.topic === lamp("hue1").topic) return new Promise(() => {});
      if (at === "/lights/show" && busy-- > 0) return [409, { reason: "Another device is setting up this room.", code: "setup-busy" }];
    },
  });
  await tapped(card(page, "hue1"));
  await card(page, "hue1").getByText("lights up now").waitFor();
  await tapped(card(page, "ikea1"));
  await card(page, "ikea1").getByText("lights up now").waitFor();
  assert.equal(await card(page, "hue1").getByText("lights up now").count(), 0);
  await card(page, "ikea1").getByText("lights up now").waitFor({ state: "detached" });
  assert.deepEqual(asked.map(([, b]) => b.topic.split("/").at(-1)), ["hue1", "ikea1", "ikea1", "ikea1"]);
  assert.equal(await page.locator(".part [role=alert]").count(), 0);
  await context.close();
});

test("new bulbs are let in for a while, and appear", async () => {
  const t = await lamps();
  const { page, context, asked } = t;
  t.is = { ...t.is, lights: { ...t.is.lights, joining_ms: 119_000, joined: [{ name: "0x0017880102030405", state: "asked" }] } };
  await click(page, "Let new bulbs in");
  await key(page, "Let no more in").locator(".sub", { hasText: /^1:[45]\d$/ }).waitFor();
  await page.getByText("is being asked what it is").waitFor();
  await told(asked, [["/zigbee/join", { seconds: 120 }]]);
  t.is = { ...t.is, lights: { ...t.is.lights, joined: [{ name: "desk", state: "known" }], offers: [...t.is.lights.offers, { ...lamp("desk"), name: "desk", kind: "Hue bloom", role: "", trouble: "" }] } };
  await card(page, "desk").waitFor();
  t.is = { ...t.is, lights: { ...t.is.lights, joining_ms: 0 } };
  await click(page, "Let no more in");
  await key(page, "Let new bulbs in").waitFor();
  await told(asked, [["/zigbee/join", { seconds: 0 }]]);
  await context.close();
});

const alone = { broker: "embedded", broker_state: "embedded", zigbee: false, offers: [] };

test("a lamp hub is found or typed, and kept only where it answers", async () => {
  const { page, context, asked } = await lamps(setup({ lights: alone }), {
    answer: (at, body) => (at === "/broker/try" && !body.broker.includes("@") ? [502, { reason: "The broker does not accept this user name and password." }] : undefined),
  });
  await tapped(page.locator(".part .row", { hasText: "homeassistant" }));
  await page.getByText("does not accept this user name").waitFor();
  await told(asked, [["/broker/try", { broker: "mqtt://192.168.1.5:1883" }]]);
  assert.equal(await page.getByLabel("Address").inputValue(), "192.168.1.5:1883");
  await page.getByLabel("User name").fill("room@home");
  await page.getByLabel("Password").fill("a/b");
  await click(page, "Connect");
  await page.getByText("Lamp hub: 192.168.1.5:1883").or(page.getByText("Lamp hub: homeassistant")).waitFor();
  const broker = "mqtt://room%40home:a%2Fb@192.168.1.5:1883";
  await told(asked, [["/broker/try", { broker }], ["", { broker }]]);
  await context.close();
});

test("an address may be typed as people write it", async () => {
  for (const [typed, broker] of [["192.168.1.7", "mqtt://192.168.1.7:1883"], ["hub.local:1884/", "mqtt://hub.local:1884"], ["mqtts://hub.local", "mqtts://hub.local:8883"]]) {
    const { page, context, asked } = await lamps(setup({ lights: alone }));
    await tapped(page.locator("summary", { hasText: "By its address" }));
    await page.getByLabel("Address").fill(typed);
    await page.getByLabel("Address").press("Enter");
    await page.getByText("Lamp hub:").waitFor();
    assert.deepEqual(asked[0], ["/broker/try", { broker }]);
    await context.close();
  }
});

test("the whole walk by the keyboard alone", async () => {
  const { page, context, asked } = await standing(fresh());
  /** to goes to a control by Tab, forwards; the focus is never lost on the way */
  const to = async (what) => {
    for (let k = 0; k < 60; k++) {
      await page.keyboard.press("Tab");
      if (await page.evaluate((w) => { const e = document.activeElement; return (e.getAttribute("aria-label") ?? e.labels?.[0]?.innerText ?? e.innerText ?? "").trim().startsWith(w); }, what)) return;
    }
    assert.fail(`the keyboard does not reach “${what}”`);
  };
  const press = async (what) => {
    await to(what);
    await settled(page);
    await page.keyboard.press("Enter");
  };
  await to("What is the room called?");
  await page.keyboard.press("ControlOrMeta+A");
  await page.keyboard.type("Birch");
  await press("Next");
  await title(page, "Sound");
  await press("HDMI");
  await press("Next");
  await title(page, "Lamps");
  await press("By the door");
  await press("Room light");
  assert.match(await page.evaluate(() => document.activeElement.innerText), /By the door/); // the focus went along
  await press("Next");
  await title(page, "First playlist");
  await press("Next");
  await title(page, "Ready");
  await press("Go to the start");
  await page.locator(".verdict").waitFor();
  assert.deepEqual(asked.filter(([at]) => at === "").map(([, b]) => b), [{ room: "Birch" }, { device: "vc4hdmi0" }, { lights: { ambient: [lamp("hue1"), lamp("hue2"), lamp("ikea2")], accent: [lamp("ikea1")] } }, { done: true }]);
  await context.close();
});

test("while something plays the steps are read only, and say so", async () => {
  for (const more of [{ checking: true }, { rehearsal: { playlist: "short", name: "Short", at_ms: 1000, end_ms: 60_000, speed: 60, phase: "Arrival" } }]) {
    const { page, context, asked, faults } = await standing(setup({ waits: true }), { snap: snapshot(null, more) });
    await click(page, "Room");
    for (const part of ["Name and language", "Sound", "Lamps"]) {
      await step(page, part);
      await title(page, part);
      await page.getByText("this can be changed after the session").waitFor();
      await page.getByText("It takes effect when this session ends").waitFor();
      const open = await page.locator(".part :is(button, input)").evaluateAll((all) => all.filter((e) => e.getClientRects().length && !e.readOnly && e.getAttribute("aria-disabled") !== "true" && !e.closest(".keys")).map((e) => e.innerText));
      assert.deepEqual(open, []);
      for (const e of await page.locator(".part .row").all()) await e.click({ force: true });
      assert.equal(await key(page, "Save").getAttribute("aria-disabled"), "true");
      await click(page, "Back");
      await page.locator("ul.steps").waitFor();
      await settled(page);
    }
    assert.deepEqual(asked, []);
    assert.deepEqual(faults, []);
    await context.close();
  }
});

test("a room file that somebody broke is shown with its place", async () => {
  const { page, context } = await standing(setup({ problems: [{ part: "room", code: "", says: "The room file has an error.", do: "Correct it.", details: "room.yaml:7:3: unknown key “lihgts”" }] }));
  await click(page, "Room");
  await step(page, "Sound");
  await page.getByText("room.yaml:7:3").waitFor();
  await context.close();
});

test("a room file that somebody breaks while lamps are looked for is shown all the same", async () => {
  let found;
  const room = await standing(fresh(), { answer: (at) => at === "/look" && new Promise((ok) => (found = ok)) });
  const { page, context } = room;
  await title(page, "Name and language");
  await eventually("lamps are looked for", () => found);
  room.is = { ...room.is, problems: [{ part: "room", says: "The room file has an error.", do: "Correct it.", code: "", details: "room.yaml:3:1: unknown key" }] };
  await page.getByText("room.yaml:3:1").waitFor();
  found();
  await context.close();
});

test("a room that does not answer says so, and the page goes on when it does", async () => {
  const { page, context } = await standing(fresh());
  await title(page, "Name and language");
  await page.getByLabel("What is the room called?").fill("Birch");
  await page.route("**/api/v1/setup", (route) => route.abort());
  await click(page, "Next");
  await page.getByText("The room does not answer. Try again.").waitFor();
  await page.unroute("**/api/v1/setup");
  await click(page, "Next");
  await title(page, "Sound");
  await context.close();
});
