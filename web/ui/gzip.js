// Puts a .gz beside each file of dist. Not by Node's zlib, whose bytes depend on the processor: dist is committed, and
// has to come out the same everywhere.
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "fflate";

const files = readdirSync("dist", { recursive: true }).map((f) => join("dist", String(f)));
for (const file of files.filter((f) => statSync(f).isFile())) {
  writeFileSync(file + ".gz", gzipSync(readFileSync(file), { level: 9, mtime: 0 }));
}
