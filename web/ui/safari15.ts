import { parseSync, Visitor, type Plugin } from "vite";

/**
 * wrapFields puts the value of a class field that holds an arrow function or parentheses into a function of its own: Safari 15
 * loses the variables around such a value (webkit.org/b/236843).
 */
export function wrapFields(code: string): string {
  const fields: { start: number; end: number; wrap: boolean }[] = [];
  const hit = (n: { start: number }): void => {
    const field = fields.findLast((f) => f.start <= n.start && n.start < f.end);
    if (field) field.wrap = true;
  };
  new Visitor({
    PropertyDefinition({ value: v }) {
      if (v && !v.type.includes("Function") && !/^\(\(\)=>.*\)\(\)$/s.test(code.slice(v.start, v.end))) fields.push({ start: v.start, end: v.end, wrap: false });
    },
    ArrowFunctionExpression: hit,
    ParenthesizedExpression: hit,
  }).visit(parseSync("chunk.js", code).program);
  const put = fields.filter((f) => f.wrap).flatMap((f) => [{ at: f.start, text: "(()=>" }, { at: f.end, text: ")()" }]);
  return put.sort((a, b) => b.at - a.at).reduce((c, { at, text }) => c.slice(0, at) + text + c.slice(at), code);
}

/** withHeights puts a height in vh before each in dvh, which Safari has from 15.4 on. */
export function withHeights(css: string): string {
  return css.replace(/(?<=[{;]\s*)([\w-]+\s*:[^;{}]*?\d)dvh([^;{}]*)/g, (both, before: string, after: string) => `${before}vh${after.replaceAll("dvh", "vh")};${both}`);
}

export const safari15: Plugin = {
  name: "safari15",
  transform: { order: "pre", filter: { id: /\.css($|\?)/ }, handler: (css) => withHeights(css) },
  augmentChunkHash: () => "safari15", // a chunk's name is made before its code is changed here
  generateBundle(_, bundle) {
    for (const chunk of Object.values(bundle)) if (chunk.type === "chunk") chunk.code = wrapFields(chunk.code);
  },
};
