// Keeps the page itself at hand, so that a reload while the wifi is away shows the page, dark, and not the browser's own
// error. It keeps nothing of the room: no API, no state.
const files = ["/","/assets/HoldKey-D2t7_Akc.js","/assets/aside-DH_TcG-2.js","/assets/de-9GE6ke3I.js","/assets/en-RlizUG8n.js","/assets/es-CEyx1fBe.js","/assets/fr-C3DeLY4B.js","/assets/index-IfNdr6XW.js","/assets/nl-D0-MBHPU.js","/assets/style-C_hdBTY2.css"]; // both are filled in by the build; another build is another worker
const name = "9619d8b5a6ea096f2a77827a80374225a377cd1aac6f52046792cce0a5cbaaa7";

self.addEventListener("install", (e) => {
  self.skipWaiting();
  e.waitUntil(caches.open(name).then((c) => c.addAll(files.map((f) => new Request(f, { cache: "reload" })))));
});

self.addEventListener("activate", (e) => {
  e.waitUntil(caches.keys().then((all) => Promise.all(all.filter((n) => n !== name).map((n) => caches.delete(n)))).then(() => self.clients.claim()));
});

self.addEventListener("fetch", (e) => {
  const { method, mode, url } = e.request;
  const { origin, pathname } = new URL(url);
  if (method !== "GET" || origin !== location.origin) return;
  if (mode === "navigate" && (pathname === "/" || pathname === "/pair")) {
    // The room's own page where it answers within three seconds.
    e.respondWith(fetch(e.request, { signal: AbortSignal.timeout(3000) }).catch(async (err) => (await caches.match("/")) ?? Promise.reject(err)));
  } else if (files.includes(pathname) && pathname !== "/") {
    e.respondWith(caches.match(pathname).then((hit) => hit ?? fetch(e.request)));
  }
});
