// A room: the real binary with a folder of its own, on a port of its own.
import { spawn, execFile } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

export const binary = process.env.ROOMD ?? join(import.meta.dirname, "..", "..", "bin", "roomd");

const config = `room: Willow
audio: {output: none}
lights:
  ambient: {driver: simulated}
  accent: {driver: simulated}
`;

// A session that gets everywhere in a minute.
const short = `name: Short
about: For tests.
keep: lengths
phases:
  - {name: Arrival, stage: preparation, length: 10m, music: [{bed: rain}, {bed: ocean}], lights: {scene: dusk, fade: 5s}, marks: [Vitals, Note]}
  - {name: Intention, stage: preparation, length: 5m, until: Lozenge, music: drone, marks: [Lozenge, Vitals]}
  - {name: Journey, stage: administration, length: 8m, music: [{bed: ocean}], lights: {scene: floor, fade: 5s}, marks: [Vitals, Swallow]}
  - {name: Return, stage: administration, length: 5m, music: drone, lights: {scene: return, fade: 5s}}
  - {name: Leaving, stage: integration, length: 5m, music: rain, lights: {scene: day, fade: 5s}}
remind:
  - {after: Lozenge, in: 2s, say: Spit or swallow, marks: [Spit, Swallow]}
`;

/** patience is how long a test waits for what has to come, ms: so long that only what never comes is missed, however busy the computer. */
export const patience = 60_000;

/** promised is how long what promises a time may take, ms: to the letter in make bars, three times as long beside other tests. */
export const promised = (ms) => (process.env.ROOMD_BARS ? ms : 3 * ms);

/** freePort is below those that the system gives out by itself, so that no broker or browser takes it before the room does. */
export async function freePort() {
  for (;;) {
    const port = 20_000 + Math.floor(Math.random() * 12_000);
    const s = createServer();
    if (await new Promise((ok) => s.once("error", () => ok(false)).listen(port, "127.0.0.1", () => ok(true)))) {
      await new Promise((ok) => s.close(ok));
      return port;
    }
  }
}

/** room starts one; without yaml it is fresh. env is what it has in its environment beside ours. */
export async function room(files = { "short.yaml": short }, yaml = config, listen = "127.0.0.1:0", env = {}) {
  const data = await mkdtemp(join(tmpdir(), "roomd-e2e-"));
  await mkdir(join(data, "playlists"));
  if (yaml) await writeFile(join(data, "room.yaml"), yaml);
  for (const [name, text] of Object.entries(files)) await writeFile(join(data, "playlists", name), text);
  const { stdout } = await promisify(execFile)(binary, ["token", "create", "Tablet", "--data", data]);
  const token = stdout.trim();
  let [host, port] = listen.split(":");
  if (port === "0") port = await freePort();
  let child;
  let log = "";

  const r = {
    token,
    data,
    /** where the page is, at a name as a room's network has it */
    url: `http://room.local:${port}`,
    log: () => log,
    async start() {
      child = spawn(binary, ["serve", "--data", data, "--listen", `${host}:${port}`], { stdio: ["ignore", "pipe", "pipe"], env: { ...process.env, ...env } });
      for (const out of [child.stdout, child.stderr]) out.on("data", (d) => (log += d));
      await eventually("the room answers", async () => {
        if (child.exitCode !== null) throw new Error(`roomd ended with ${child.exitCode}:\n${log}`);
        return (await fetch(`http://127.0.0.1:${port}/healthz`)).ok;
      });
    },
    /** kill ends it as a power cut would. */
    async kill() {
      const gone = new Promise((ok) => child.once("exit", ok));
      child.kill("SIGKILL");
      await gone;
    },
    signal: (name) => child.kill(name),
    async close() {
      if (child.exitCode === null && child.signalCode === null) {
        child.kill("SIGCONT");
        await r.kill();
      }
      await rm(data, { recursive: true, force: true });
    },
    async get(path) {
      const res = await fetch(`http://127.0.0.1:${port}${path}`, { headers: { Authorization: `Bearer ${token}` } });
      if (!res.ok) throw new Error(`${path}: ${res.status} ${await res.text()}`);
      return res.json();
    },
    /** pair makes a code and a link that let one device in. */
    async pair(...args) {
      const { stdout } = await promisify(execFile)(binary, ["pair", ...args, "--data", data, "--listen", `127.0.0.1:${port}`]);
      return { code: /\b\d{3} \d{3}\b/.exec(stdout)[0].replace(" ", ""), link: /\/pair#\S+/.exec(stdout)[0] };
    },
    revoke: (name) => promisify(execFile)(binary, ["token", "revoke", name, "--data", data]),
    state: () => r.get("/api/v1/state"),
    async command(c) {
      const res = await fetch(`http://127.0.0.1:${port}/api/v1/commands`, { method: "POST", headers: { Authorization: `Bearer ${token}`, "Content-Type": "application/json" }, body: JSON.stringify({ id: crypto.randomUUID(), ...c }) });
      if (!res.ok) throw new Error(`${c.do}: ${res.status} ${await res.text()}`);
      return res.json();
    },
  };
  await r.start();
  return r;
}

/** eventually asks again until it is so. */
export async function eventually(what, is, within = patience) {
  const until = Date.now() + within;
  let last;
  for (;;) {
    try {
      const got = await is();
      if (got) return got;
      last = undefined;
    } catch (e) {
      last = e;
    }
    if (Date.now() > until) throw new Error(`not within ${within} ms: ${what}`, { cause: last });
    await new Promise((ok) => setTimeout(ok, 50));
  }
}
