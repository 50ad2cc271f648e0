import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig } from "vitest/config";
import { safari15 } from "./safari15.ts";

// npm run dev shows the page of a room that runs beside it: open the printed address at /pair#TOKEN.
const own = { target: "http://127.0.0.1:8080", ws: true };

export default defineConfig({
  plugins: [svelte(), safari15],
  build: { target: ["es2022", "safari16", "chrome100"], modulePreload: { polyfill: false }, sourcemap: false, assetsInlineLimit: 0 },
  server: { proxy: { "/api": own, "/ws": own, "/pair": own, "/signin": own } },
  test: { include: ["src/**/*.test.ts"] },
});
