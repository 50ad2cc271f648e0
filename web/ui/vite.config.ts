import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig } from "vitest/config";
import { head } from "./head.ts";
import { icons } from "./icons.ts";
import { safari15 } from "./safari15.ts";

// npm run dev shows the page of a room that runs beside it: open the printed address at /pair#TOKEN. /design.html shows every component in every state.
// /clinic.html is the page of the clinic's desk. It is built by itself (--mode clinic), so that no file of the room's page changes with it.
const own = { target: "http://127.0.0.1:8080", ws: true };

// A file of texts is named after its folder: desk-locales-en, said-de.
const chunkFileNames = (c: { facadeModuleId?: string | null }) => {
  const of = /((?:desk\/)?(?:locales|said)\/)\w+\.json$/.exec(c.facadeModuleId ?? "")?.[1] ?? "";
  return `assets/${of.replaceAll("/", "-")}[name]-[hash].js`;
};

// What the first page shares with the others stays one file: the wall takes less of it than the desk, and would split it.
const room = { rolldownOptions: { output: { chunkFileNames, codeSplitting: { groups: [{ name: "shared", minShareCount: 3 }] } } } };
const clinic = { emptyOutDir: false, copyPublicDir: false, rolldownOptions: { input: "clinic.html", output: { entryFileNames: "assets/clinic-[hash].js", chunkFileNames, assetFileNames: "assets/[name]-[hash][extname]" } } };

export default defineConfig(({ mode }) => ({
  plugins: [head, icons, svelte(), safari15],
  build: { ...(mode === "clinic" ? clinic : room), target: ["es2022", "safari16", "chrome100"], cssTarget: ["safari15", "chrome100"], modulePreload: { polyfill: false }, sourcemap: false, assetsInlineLimit: 0 },
  server: { fs: { allow: [".", "../e2e"] }, proxy: { "/api": own, "/ws": own, "/wall/ws": own, "/pair": own, "/signin": own } },
  test: { include: ["src/**/*.test.ts"] },
}));
