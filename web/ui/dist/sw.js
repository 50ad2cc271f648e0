// Keeps the page itself at hand, so that a reload while the wifi is away shows the page, dark, and not the browser's own
// error. It keeps nothing of the room: no API, no state.
const files = ["/","/assets/Arc-Bs8ZP4zn.js","/assets/Arc-Cgme-w2c.css","/assets/Screen-g6gV6xc_.css","/assets/Screen-n3N1OW6c.js","/assets/aside-BQzPCmaj.js","/assets/aside-te2NvuBz.css","/assets/de-Cuz7pCrb.js","/assets/de-bsN70uaq.js","/assets/desk-5Z-_K6lx.js","/assets/desk-yRyyAWU1.css","/assets/en-2zYylsPz.js","/assets/en-CWECD4rD.js","/assets/es-BVqfz_zR.js","/assets/es-L7KntJyK.js","/assets/fr-B-DCvvvI.js","/assets/fr-Di-YjuGZ.js","/assets/index-C65v617x.css","/assets/index-NEOvspar.js","/assets/nl-B_zkdarc.js","/assets/nl-C-S7_XD3.js"]; // both are filled in by the build; another build is another worker
const name = "1543576bc957985fbb67670e4fb2bec6d7f953361e5c7fa56f22b4f18e322368";

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
