// Puts a .gz beside each file of dist, the same bytes each time.
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";

const files = readdirSync("dist", { recursive: true }).map((f) => join("dist", String(f)));
for (const file of files.filter((f) => statSync(f).isFile())) {
  writeFileSync(file + ".gz", gzipSync(readFileSync(file), { level: 9 })); // Node writes no name and no time
}
