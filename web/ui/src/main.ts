import { mount } from "svelte";
import "./app.css";
import App from "./App.svelte";
import { room } from "./room.svelte";
import { screen } from "./screen.svelte";
import { ui } from "./ui.svelte";
import { words } from "./texts.svelte";

screen.start();
// Without its words the page is of no use: asked for again, as when the page itself had not come.
await words.start().catch(() => new Promise(() => setTimeout(() => location.reload(), 2000)));
// A link that lets this tablet in: what stands behind the # is never sent, and stays in no history.
if (location.pathname === "/pair") {
  ui.link = decodeURIComponent(location.hash.slice(1));
  history.replaceState(null, "", "/");
}
const target = document.getElementById("app")!;
target.textContent = ""; // what stands there for a browser that can't run this
if (location.pathname === "/wall") {
  void import("./wall").then((wall) => mount(wall.default, { target }), () => setTimeout(() => location.reload(), 2000));
} else {
  if (ui.link) room.out = true;
  else room.start();
  mount(App, { target });
}

// Over https the page stays at hand while the room can't be reached. A worker's address has to be vouched for (Trusted Types).
if (isSecureContext && "serviceWorker" in navigator) {
  const policy = (globalThis as { trustedTypes?: { createPolicy(n: string, r: object): { createScriptURL(u: string): string } } }).trustedTypes
    ?.createPolicy("roomd", { createScriptURL: (u: string) => u });
  void navigator.serviceWorker.register(policy ? policy.createScriptURL("/sw.js") : "/sw.js").catch((e: unknown) => console.error("service worker:", e));
}
