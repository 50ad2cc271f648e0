// A room joins a real desk by its page, in sight of a browser: by the desk's link, then by its address and code; the desk goes, comes back
// and removes the room; the room leaves.
import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { Agent, request } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { promisify } from "node:util";
import { eventually, freePort, room } from "./room.js";
import { settled, tapped } from "./settled.js";
import { close, tablet } from "./tablet.js";

const binary = process.env.ROOMD ?? join(import.meta.dirname, "..", "..", "bin", "roomd");
const open = [];
after(async () => {
  await close();
  for (const peer of open.reverse()) await peer.close();
});

/** desk starts one, with a device that may add and remove rooms. */
async function desk() {
  const data = await mkdtemp(join(tmpdir(), "roomd-desk-"));
  const { stdout } = await promisify(execFile)(binary, ["token", "create", "Front desk", "--data", data]);
  const at = `127.0.0.1:${await freePort()}`, rooms = `127.0.0.1:${await freePort()}`;
  const agent = new Agent({ rejectUnauthorized: false }); // the desk's own authority
  let child;
  const d = {
    at,
    ask: (method, path, body) => new Promise((ok, failed) => {
      const r = request(`https://${at}${path}`, { method, agent, headers: { Authorization: `Bearer ${stdout.trim()}`, "Content-Type": "application/json" } }, (res) => {
        let text = "";
        res.on("data", (t) => (text += t)).on("end", () => (res.statusCode === 200 ? ok(JSON.parse(text)) : failed(new Error(`${method} ${path}: ${res.statusCode} ${text}`))));
      });
      r.on("error", failed).end(body && JSON.stringify(body));
    }),
    async start() {
      child = spawn(binary, ["desk", "--name", "North clinic", "--data", data, "--listen", at, "--mqtt", rooms], { stdio: "ignore" });
      await eventually("the desk answers", () => d.ask("GET", "/api/v1/desk"));
    },
    async kill() {
      const gone = new Promise((ok) => child.once("exit", ok));
      child.kill("SIGKILL");
      await gone;
    },
    async close() {
      if (child.exitCode === null && child.signalCode === null) await d.kill();
      await rm(data, { recursive: true, force: true });
    },
  };
  await d.start();
  open.push(d);
  return d;
}

const key = (page, label) => page.locator(".key", { has: page.getByText(label, { exact: true }) }).first();
async function click(page, label) {
  await tapped(key(page, label));
}
async function press(page, label) {
  await settled(page);
  const cdp = await page.context().newCDPSession(page);
  const box = await key(page, label).boundingBox();
  const at = { x: box.x + box.width / 2, y: box.y + box.height / 2 };
  await cdp.send("Input.dispatchTouchEvent", { type: "touchStart", touchPoints: [at] });
  await page.waitForTimeout(1500);
  await cdp.send("Input.dispatchTouchEvent", { type: "touchEnd", touchPoints: [] });
  await cdp.detach();
}
const says = (page, text) => page.getByText(text).waitFor();

test("a therapist has the room join a clinic by its desk's link, sees the desk go and come back, and leaves", async () => {
  const north = await desk();
  const willow = await room();
  open.push(willow);
  const { page, context, faults } = await tablet();
  await page.goto(willow.url + (await willow.pair("iPad")).link);
  await click(page, "Room");
  await page.locator(".row.clinic", { hasText: "In no clinic" }).waitFor();
  await tapped(page.locator(".row.clinic"));

  // What is wrong is said in a sentence, and nothing has changed.
  await page.getByLabel("Address or link").fill(north.at);
  await page.getByLabel("Code").fill("ABCD-EFGH");
  await click(page, "Join");
  await says(page, "This is not a code of a desk.");
  const offer = await north.ask("POST", "/api/v1/desk/offers", { house: "East" });
  await page.getByLabel("Address or link").fill(`https://${north.at}${/\/join#.*/.exec(offer.link)[0]}`);
  assert.equal(await page.getByLabel("Code").count(), 0, "the link holds the code");
  await click(page, "Join");
  await says(page, "The desk is reached.");
  await says(page, "North clinic");
  assert.deepEqual((await north.ask("GET", "/api/v1/desk/offers/current")).joined.name, "Willow");

  await north.kill();
  await says(page, /The desk is not reached for \d/);
  assert.deepEqual((await willow.state()).problems, [], "it is no problem of the room");
  await click(page, "Back");
  await page.locator(".row.clinic", { hasText: /North clinic.*not reached for/ }).waitFor();
  await north.start();
  await page.locator(".row.clinic", { hasText: "reached" }).filter({ hasNotText: "not reached" }).waitFor();

  // The desk removes the room: it says so, and joins again by address and code.
  const { id } = JSON.parse(await readFile(join(willow.data, "clinic.json"), "utf8"));
  await north.ask("DELETE", `/api/v1/desk/rooms/${id}`);
  await tapped(page.locator(".row.clinic"));
  await says(page, "The desk has removed this room.");
  await page.getByLabel("Address or link").fill(north.at);
  await page.getByLabel("Code").fill((await north.ask("POST", "/api/v1/desk/offers", { house: "East" })).code.toLowerCase());
  await click(page, "Join");
  await says(page, "The desk is reached.");

  await press(page, "Leave the clinic");
  await says(page, "It never steers a room");
  await assert.rejects(readFile(join(willow.data, "clinic.json")), "the room keeps nothing of it");
  assert.deepEqual(faults, []);
  await context.close();
});
