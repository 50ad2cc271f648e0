// The page at /wall: a real room's clocks in a frame of another program's page.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { createServer } from "node:http";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import { chromium } from "playwright-core";
import { eventually, freePort, patience, room } from "./room.js";
import { options } from "./tablet.js";

const binary = process.env.ROOMD ?? new URL("../../bin/roomd", import.meta.url).pathname;
let willow, outer, port, browser, token;

before(async () => {
  // The page around the frame: of an origin that the room file names, and by another name of one that it does not.
  outer = createServer((req, res) => {
    res.setHeader("Content-Type", "text/html");
    const src = new URL(req.url, "http://x").searchParams.get("src");
    res.end(`<!doctype html><body bgcolor="black"><iframe width="1000" height="600" src="${src}"></iframe>`);
  });
  port = await freePort();
  await new Promise((ok) => outer.listen(port, "127.0.0.1", ok));
  willow = await room(undefined, `room: Willow\naudio: {output: none}\nlights: {ambient: {driver: simulated}}\nhttps: off\nweb: {frame: ["http://desk.clinic.example:${port}"]}\n`);
  ({ stdout: token } = await promisify(execFile)(binary, ["token", "create", "Wall", "--observer", "--data", willow.data]));
  token = token.trim();
  const { args, ...more } = options();
  browser = await chromium.launch({ ...more, args: args.map((a) => a.replace("room.local 127.0.0.1", "$&, MAP *.example 127.0.0.1")) });
  await willow.command({ do: "start", playlist: "short" });
});
after(async () => {
  await browser?.close();
  outer.close();
  await willow.close();
});

/** framed is a page of a host that shows an address of the room in a frame. */
async function framed(host, path) {
  const context = await browser.newContext({ viewport: { width: 1100, height: 700 }, hasTouch: true });
  const page = await context.newPage();
  page.setDefaultTimeout(patience);
  const said = [], sent = [];
  page.on("websocket", (ws) => ws.on("framesent", (m) => sent.push(String(m.payload))));
  page.on("console", (m) => said.push(m.text()));
  page.on("pageerror", (e) => said.push(String(e)));
  await page.goto(`http://${host}:${port}/?src=${encodeURIComponent(willow.url + path)}`);
  return { context, page, frame: page.frameLocator("iframe"), said, sent };
}

test("a page of an origin that the room file names shows the clocks, and they go", async () => {
  const { context, frame, said } = await framed("desk.clinic.example", `/wall#${token}`);
  const clock = frame.getByRole("timer").first();
  await clock.waitFor();
  await frame.getByText("Arrival", { exact: true }).first().waitFor();
  const first = await clock.innerText();
  assert.match(first, /^\d:\d\d:\d\d$/);
  await eventually("the clock goes on", async () => (await clock.innerText()) > first);
  await willow.command({ do: "mark", name: "Lozenge" });
  const since = frame.getByRole("timer").first();
  await eventually("it counts from the lozenge", async () => /^0:00:0\d$/.test(await since.innerText()));
  assert.ok((await since.evaluate((e) => parseFloat(getComputedStyle(e).fontSize))) > 200, "to be read from two meters");
  assert.equal(await frame.locator("button, a, input, select, textarea").count(), 0);
  assert.deepEqual(await context.cookies(), []);
  assert.deepEqual(said, []);
  await context.close();
});

test("on a screen of its own it forgets the address's token, and outlives a reload", async () => {
  const context = await browser.newContext();
  const page = await context.newPage();
  await page.goto(`${willow.url}/wall#${token}`);
  for (let n = 0; n < 2; n++) {
    await page.getByRole("timer").first().waitFor();
    assert.equal(page.url(), `${willow.url}/wall`);
    if (n === 0) await page.reload();
  }
  await context.close();
});

test("tapping does nothing, and the token commands nothing", async () => {
  const { context, page, frame, sent } = await framed("desk.clinic.example", `/wall#${token}`);
  await frame.getByRole("timer").first().waitFor();
  const before = (await willow.state()).session;
  for (let x = 60; x < 1000; x += 120) for (let y = 60; y < 600; y += 90) await page.mouse.click(x, y);
  for (const key of ["Enter", " ", "Escape", "Tab", "Enter"]) await page.keyboard.press(key);
  assert.ok(sent.length > 0 && sent.every((m) => JSON.parse(m).type === "time"), sent.join());
  const inner = page.frames().find((f) => f.url().startsWith(willow.url));
  const answers = await inner.evaluate(async (token) => {
    const body = JSON.stringify({ id: "1", do: "emergency" });
    const post = (headers) => fetch("/api/v1/commands", { method: "POST", headers: { "Content-Type": "application/json", ...headers }, body }).then((r) => r.status);
    const nack = new Promise((ok) => {
      const ws = new WebSocket(location.origin.replace("http", "ws") + "/wall/ws", ["roomd.wall", "roomd.token." + token]);
      ws.onopen = () => ws.send(JSON.stringify({ type: "command", id: "2", do: "emergency" }));
      ws.onmessage = (m) => { const { type } = JSON.parse(m.data); if (type !== "snapshot") { ws.close(); ok(type); } };
    });
    return [await post({}), await post({ Authorization: "Bearer " + token }), await nack];
  }, token);
  assert.deepEqual(answers, [401, 403, "nack"]);
  const { session } = await willow.state();
  assert.deepEqual([session.emergency, session.phase.name, session.undo.length, session.marks.length], [false, before.phase.name, before.undo.length, before.marks.length]);
  await context.close();
});

test("a page of another origin shows no room, and no page but the wall is framed", async () => {
  for (const [host, path] of [["evil.example", `/wall#${token}`], ["desk.clinic.example", "/"], ["desk.clinic.example", "/%77all"], ["desk.clinic.example", "/wall/"]]) {
    const { context, page, said } = await framed(host, path);
    await eventually(`${host} ${path} is blocked`, () => said.some((t) => /frame-ancestors|X-Frame-Options/i.test(t)));
    for (const f of page.frames().slice(1)) assert.equal(await f.locator("main").count(), 0, `${host} ${path}`);
    await context.close();
  }
});

test("a therapist's link shows nothing, and a link that was removed shows nothing more", async () => {
  for (const bad of [willow.token, "guess", ""]) {
    const { context, frame } = await framed("desk.clinic.example", `/wall#${bad}`);
    await frame.getByText("roomd token create Wall --observer").waitFor();
    assert.equal(await frame.getByRole("timer").count(), 0);
    await context.close();
  }
  const { context, frame } = await framed("desk.clinic.example", `/wall#${token}`);
  await frame.getByRole("timer").first().waitFor();
  await willow.revoke("Wall");
  await frame.getByText("roomd token create Wall --observer").waitFor();
  assert.equal(await frame.getByRole("timer").count(), 0);
  await context.close();
});
