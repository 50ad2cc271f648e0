// A desk as its page sees it: the routes of a real one (web/desk/openapi.yaml), over a real line, with rooms that a test makes up.
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { extname, join } from "node:path";
import { eventually } from "./room.js";

const dist = join(import.meta.dirname, "..", "ui", "dist");
const types = { ".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".woff2": "font/woff2", ".png": "image/png", ".webmanifest": "application/manifest+json" };
// As web/server.go sends it.
const csp = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; manifest-src 'self'; worker-src 'self'; font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types svelte-trusted-html roomd";
const qr = Array.from({ length: 33 }, (_, y) => Array.from({ length: 33 }, (_, x) => ((x * 7 + y * 13 + x * y) % 3 ? 0 : 1)).join(""));

/** desk starts one. rooms are those of the feed; about is what it says of itself. */
export async function desk(rooms = [], about = {}) {
  const all = new Map(rooms.map((r) => [r.id, r]));
  const d = {
    about: { name: "North clinic", version: "1.0.0", boot: "1", broker: "own", enrolls: true, connected: true, ...about },
    known: true, // the device that asks belongs to the desk
    offer: null, joined: null,
    ahead: 0, // by how much its clock is ahead, ms
    mute: false, // nothing is answered any more, and nothing closed
    asked: [], // the requests that change something
    lines: new Set(),
  };
  const say = (line, news) => line.write(`data: ${JSON.stringify({ now_ms: d.now(), connected: d.about.connected, all: false, rooms: [], gone: [], ...news })}\n\n`);
  const server = createServer(async (req, res) => {
    const path = new URL(req.url, "http://desk").pathname;
    if (d.mute) return;
    let body = "";
    for await (const part of req) body += part;
    if (req.method !== "GET") d.asked.push([req.method, path, body && JSON.parse(body)]);
    const json = (status, sent) => res.writeHead(status, { "Content-Type": "application/json" }).end(JSON.stringify(sent));
    if (path === "/api/v1/pair") {
      if (req.method === "GET") return json(200, { command: "sudo -u roomd roomd desk pair", sheet: false });
      d.known = JSON.parse(body).code === "482913";
      return d.known ? json(200, {}) : json(401, { reason: "wrong" });
    }
    if (path.startsWith("/api/")) {
      if (!d.known) return json(401, { reason: "no token" });
      if (path === "/api/v1/desk") return json(200, d.about);
      if (path === "/api/v1/desk/rooms") {
        res.writeHead(200, { "Content-Type": "text/event-stream", "Cache-Control": "no-store" });
        d.lines.add(res);
        res.on("close", () => d.lines.delete(res));
        return say(res, { all: true, rooms: [...all.values()] });
      }
      if (path === "/api/v1/desk/offers") {
        d.offer = { code: "7K2M-9QXD-0ABC-W3F8-TR5Y-HJ6N", link: "https://north.local:8444/join#7K2M9QXD0ABCW3F8TR5YHJ6N", qr, now_ms: d.now(), ends_ms: d.now() + 300_000, address: "north.local:8444" };
        d.joined = null;
        return json(200, d.offer);
      }
      if (path === "/api/v1/desk/offers/current") {
        if (req.method === "DELETE") {
          d.offer = d.joined = null;
          return json(200, {});
        }
        return d.joined ? json(200, { joined: d.joined }) : d.offer ? json(200, d.offer) : json(404, { reason: "no code is open" });
      }
      if (path.startsWith("/api/v1/desk/rooms/") && req.method === "DELETE") {
        d.send([], [decodeURIComponent(path.split("/").at(-1))]);
        return json(200, {});
      }
      return json(404, { reason: "there is no such route" });
    }
    const file = path === "/" || path === "/pair" ? "/clinic.html" : path;
    try {
      const text = await readFile(dist + file);
      res.writeHead(200, { "Content-Type": types[extname(file)], "Content-Security-Policy": csp, "Cache-Control": "no-cache" }).end(text);
    } catch {
      json(404, { reason: "there is no such page" });
    }
  });
  /** send has rooms change, or go. */
  d.send = (changed, gone = []) => {
    for (const r of changed) all.set(r.id, r);
    for (const id of gone) all.delete(id);
    for (const line of d.lines) say(line, { rooms: changed, gone });
  };
  d.now = () => Math.round(performance.now()) + d.ahead;
  let port = 0;
  d.up = () => new Promise((done) => server.listen(port, "127.0.0.1", () => done((port = server.address().port))));
  /** down is a desk whose process ends: every connection closes, and none is taken. */
  d.down = () => new Promise((done) => {
    server.close(done);
    server.closeAllConnections();
  });
  d.close = async () => { if (server.listening) await d.down(); };
  d.open = () => eventually("a page listens", async () => d.lines.size > 0);
  await d.up();
  d.url = `http://room.local:${port}/`;
  return d;
}

const min = 60_000;
const current = { revision: "5f3c9a07b1d2", changed_ms: 2000 }, old = { revision: "a81e44c09d70", changed_ms: 1000 };
const plain = (name, more = {}) => ({ id: name.toLowerCase().replaceAll(" ", "-"), name, version: "1.4.0", library: current, reached: true, heard: true, broken: [], ...more });

/** clinics are what the page is looked at with. at is the desk's clock. */
export const clinics = {
  three: (at) => [
    plain("Oak", { stage: "administration", ends_ms: at + 24.5 * min, broken: [{ part: "sound", since_ms: at - 2.5 * min }] }),
    plain("Willow", { stage: "administration", ends_ms: at + 104.5 * min }),
    plain("Elm"),
  ],
  /** twenty in the order in which they have to be shown */
  twenty: (at) => [
    plain("Oak", { house: "North", stage: "administration", ends_ms: at + 24.5 * min, broken: [{ part: "sound", since_ms: at - 2.5 * min }, { part: "lights", since_ms: at - 20_000 }] }),
    plain("Elm", { house: "South", stage: "integration", ends_ms: at + 31.5 * min, reached: false, lost_ms: at - 3.5 * min }),
    plain("Room 3", { house: "South", broken: [{ part: "playlists", since_ms: at - 90.5 * min }] }),
    plain("Birch", { house: "North", reached: false, lost_ms: at - 61.5 * min }),
    plain("Room 12", { house: "South", stage: "integration", ends_ms: at + 20_000, ending: true }),
    plain("Ash", { house: "North", stage: "integration", ends_ms: at + 4.5 * min }),
    plain("Willow", { house: "North", stage: "administration", ends_ms: at + 104.5 * min, library: old }),
    plain("Room 11", { house: "South", stage: "preparation", ends_ms: at + 171.5 * min }),
    plain("Maple", { house: "North", stage: "administration", ends_ms: at + 20 * min, held: true }),
    ...["Alder", "Beech", "Cedar", "Hazel", "Larch"].map((n) => plain(n, { house: "North" })),
    plain("Room 1", { house: "South", library: old }), plain("Room 2", { house: "South", version: "1.3.2" }), plain("Room 10", { house: "South" }),
    plain("Rowan", { house: "North" }),
    plain("The large group room under the roof", { house: "Children’s and adolescents’ outpatient house" }),
    plain("Yew", { house: "North", reached: false, heard: false, version: undefined, library: { revision: "" } }),
  ],
  thousand: (at) => Array.from({ length: 1000 }, (_, i) => plain(`Room ${i + 1}`, {
    house: `House ${1 + (i % 20)}`,
    ...(i % 250 === 7 ? { stage: "administration", ends_ms: at + (i % 170) * min + 2000, broken: [{ part: i % 2 ? "sound" : "lights", since_ms: at - i * 1000 }] } : i % 3 === 0 ? { stage: ["preparation", "administration", "integration"][i % 5 % 3], ends_ms: at + (3 + (i % 175)) * min } : {}),
  })),
};
