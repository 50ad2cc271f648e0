// Keeps the page itself at hand, so that a reload while the wifi is away shows the page, dark, and not the browser's own
// error. It keeps nothing of the room: no API, no state.
const files = ["/","/assets/Arc-1S0w5P0u.js","/assets/Arc-Cgme-w2c.css","/assets/Screen-CLaEp8_k.js","/assets/Screen-g6gV6xc_.css","/assets/aside-kEl_OGAe.js","/assets/aside-te2NvuBz.css","/assets/de-C8E1D0Sq.js","/assets/de-DRcnGlmp.js","/assets/desk-CsOGguJ7.css","/assets/desk-DcQidk9w.js","/assets/en-BdbKJXsr.js","/assets/en-BxkZJKKo.js","/assets/es-CbLlawuZ.js","/assets/es-D5Pkc9f8.js","/assets/fr-B2m_BHZd.js","/assets/fr-pqo-Vmyz.js","/assets/index-C65v617x.css","/assets/index-Die31VEQ.js","/assets/nl-3W8KVg8b.js","/assets/nl-BMAQsdhF.js"]; // both are filled in by the build; another build is another worker
const name = "70270ca87ebaa24c0c8d470c33aa53f116d382b66857603b52e56d37d1fc87ee";

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
