// The last step of a build: tells the service worker what the page is made of, and puts a .gz beside each file of dist. By
// Zopfli, which packs tightest, and not by Node's zlib, whose bytes depend on the processor: dist is committed, and has to
// come out the same everywhere.
import { createHash } from "node:crypto";
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipAsync } from "@gfx/zopfli";

const worker = join("dist", "sw.js");
const text = readFileSync(worker, "utf8");
if (!text.includes('["FILES"]')) throw new Error("sw.js has no list of files");
const assets = readdirSync(join("dist", "assets")).filter((f) => !f.startsWith("clinic-")).sort().map((f) => "/assets/" + f);
const page = createHash("sha256").update(assets.join()).update(readFileSync(join("dist", "index.html"))).digest("hex");
writeFileSync(worker, text.replace('["FILES"]', JSON.stringify(["/", ...assets])).replace('"PAGE"', JSON.stringify(page)));

const files = readdirSync("dist", { recursive: true }).map((f) => join("dist", String(f)));
for (const file of files.filter((f) => statSync(f).isFile() && !f.endsWith(".png"))) {
  writeFileSync(file + ".gz", await gzipAsync(readFileSync(file), { numiterations: 15 }));
}
