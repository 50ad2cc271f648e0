// The real things beside a room: a broker, zigbee2mqtt with simulated bulbs, and a sound card. Each is a child with a folder of its
// own, and ended by its own pid.
import { execFile, spawn } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { eventually, freePort } from "./room.js";

const shared = process.env.ROOMD_SHARED ?? join(import.meta.dirname, "..", "..", "..", "shared");
const folder = (name) => mkdtemp(join(tmpdir(), `roomd-${name}-`));

/** run starts a child that close ends. */
function run(program, args, dir, up) {
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"] });
  let log = "";
  for (const out of [child.stdout, child.stderr]) out.on("data", (d) => (log += d));
  const gone = new Promise((ok) => child.once("exit", ok));
  const peer = {
    log: () => log,
    async close() {
      child.kill("SIGKILL");
      await gone;
      await rm(dir, { recursive: true, force: true });
    },
  };
  return eventually(`${program} is up`, async () => {
    if (child.exitCode !== null) throw new Error(`${program} ended with ${child.exitCode}:\n${log}`);
    return up(log);
  }, 60_000).then(() => peer);
}

/** mosquitto is a broker; without a user everybody may do everything. */
export async function mosquitto(user = "", password = "") {
  const dir = await folder("mosquitto"), port = await freePort();
  if (user) await promisify(execFile)("mosquitto_passwd", ["-b", "-c", join(dir, "users"), user, password]);
  await writeFile(join(dir, "mosquitto.conf"), [
    "user root", "log_dest stderr", `listener ${port} 127.0.0.1`, ...(user ? ["allow_anonymous false", `password_file ${join(dir, "users")}`] : ["allow_anonymous true"]), "",
  ].join("\n"));
  const up = () => new Promise((ok) => {
    const s = connect(port, "127.0.0.1", () => ok(true)).once("error", () => ok(false)).once("connect", () => s.destroy());
  });
  return { ...(await run("/usr/sbin/mosquitto", ["-c", join(dir, "mosquitto.conf")], dir, up)), host: `127.0.0.1:${port}`, url: `mqtt://127.0.0.1:${port}` };
}

/** bulbs is a zigbee2mqtt with four bulbs, room1/hue1, room1/hue2, room1/ikea1 and room1/ikea2, and a group of them, room1/all. lit is
 * what a bulb has shown, in levels 0 to 254. */
export async function bulbs(broker, user = "", password = "") {
  const dir = await folder("bulbs");
  const peer = await run(join(shared, "zigbee-sim", "start"), [dir, broker, ...(user ? [user, password] : [])], dir, (log) => /Zigbee2MQTT started/i.test(log));
  const addresses = { hue1: "0x0017880100000001", hue2: "0x0017880100000002", ikea1: "0x90fd9ffffe000003", ikea2: "0x90fd9ffffe000004" };
  const events = async () => (await readFile(join(dir, "sim.jsonl"), "utf8").catch(() => "")).trim().split("\n").filter(Boolean).map((l) => JSON.parse(l));
  return { ...peer, events, lit: async (name) => (await events()).filter((e) => e.ev === "out" && e.b === addresses[name] && e.k === "level") };
}

/** card is a sound card in real time, "usbdac" and the default. played is how many bytes it was given. */
export async function card() {
  const dir = await folder("card");
  await promisify(execFile)(join(shared, "fakedac", "build"), [dir]);
  return {
    env: { ALSA_CONFIG_PATH: join(dir, "asound.conf") },
    /** second adds another card, which plays to the same place under another name */
    second: async (name) => {
      const conf = join(dir, "asound.conf");
      await writeFile(conf, (await readFile(conf, "utf8")) + `pcm.${name} { type fakedac flag "${dir}/unplugged2" log "${dir}/log2" file "${dir}/pcm2.raw" speed 1 hint { show on description "second DAC" } }\n`);
    },
    log: (n = "") => readFile(join(dir, "log" + n), "utf8").catch(() => ""),
    close: () => rm(dir, { recursive: true, force: true }),
  };
}
