// Keeps the page itself at hand, so that a reload while the wifi is away shows the page, dark, and not the browser's own
// error. It keeps nothing of the room: no API, no state.
const files = ["/","/assets/Arc-Bm_GtsT_.js","/assets/Arc-Cgme-w2c.css","/assets/Screen-CarYd934.css","/assets/Screen-Cgy_UPL9.js","/assets/aside-DuSMLGiS.js","/assets/aside-te2NvuBz.css","/assets/de-CN84Mom8.js","/assets/de-rBYVtFIS.js","/assets/desk-BtXl-bBh.js","/assets/desk-DPmdw7t_.css","/assets/en-D6nsnPtN.js","/assets/en-DabZqGax.js","/assets/es-Bjrz7hC5.js","/assets/es-DvTCbUVq.js","/assets/fr-BZYuExW7.js","/assets/fr-DUsRs1Vn.js","/assets/index-C65v617x.css","/assets/index-GSGv7J6C.js","/assets/nl-A5mcYooG.js","/assets/nl-D568w7BZ.js"]; // both are filled in by the build; another build is another worker
const name = "a3ad8b70ca31381938f403af0698c5c3902f2f3544e133cb5c61af1b5feac6a8";

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
