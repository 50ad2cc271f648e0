// Puts a .gz beside each file of dist. By Zopfli, which packs tightest, and not by Node's zlib, whose bytes depend on the
// processor: dist is committed, and has to come out the same everywhere.
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipAsync } from "@gfx/zopfli";

const files = readdirSync("dist", { recursive: true }).map((f) => join("dist", String(f)));
for (const file of files.filter((f) => statSync(f).isFile())) {
  writeFileSync(file + ".gz", await gzipAsync(readFileSync(file), { numiterations: 15 }));
}
