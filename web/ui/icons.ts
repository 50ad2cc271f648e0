import type { Plugin } from "vite";

/** path is what a Lucide icon draws, as one path: its lines, circles and squares written as such. */
export function path(svg: string): string {
  const shapes = [...svg.matchAll(/<(path|circle|rect|line) ([^>]*?)\s*\/>/g)];
  if (shapes.length !== svg.match(/<(?!\/|!|svg)/g)?.length) throw new Error("an icon has a shape that is not known here");
  return shapes.map(([, shape, text]) => {
    const a = Object.fromEntries([...text!.matchAll(/([\w-]+)="([^"]*)"/g)].map(([, name, value]) => [name!, value!]));
    const n = (name: string): number => Number(a[name] ?? 0);
    if (shape === "path") return a.d!.replace(/^m/, "M0 0m"); // the first place of a path counts from nothing, a later one from the last
    if (shape === "line") return `M${n("x1")} ${n("y1")}L${n("x2")} ${n("y2")}`;
    const arc = (r: number, x: number, y: number): string => `a${r} ${r} 0 0 1 ${x} ${y}`;
    if (shape === "circle") return `M${n("cx") - n("r")} ${n("cy")}${arc(n("r"), 2 * n("r"), 0)}${arc(n("r"), -2 * n("r"), 0)}`;
    const r = n("rx"), w = n("width") - 2 * r, h = n("height") - 2 * r;
    return `M${n("x") + r} ${n("y")}h${w}${arc(r, r, r)}v${h}${arc(r, -r, r)}h${-w}${arc(r, -r, -r)}v${-h}${arc(r, r, -r)}z`;
  }).join("");
}

/** icons makes `import undo from "lucide-static/icons/undo-2.svg?path"` the path of that icon. */
export const icons: Plugin = {
  name: "icons",
  enforce: "pre",
  load: {
    filter: { id: /\.svg\?path$/ },
    async handler(id) {
      return `export default ${JSON.stringify(path(await this.fs.readFile(id.split("?")[0]!, { encoding: "utf8" })))}`;
    },
  },
};
