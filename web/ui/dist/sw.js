// Keeps the page itself at hand, so that a reload while the wifi is away shows the page, dark, and not the browser's own
// error. It keeps nothing of the room: no API, no state.
const files = ["/","/assets/Arc-51CW4Ivv.js","/assets/Arc-Cgme-w2c.css","/assets/Screen-BrrB5lh9.js","/assets/Screen-g6gV6xc_.css","/assets/aside-DvrVbkd1.js","/assets/aside-te2NvuBz.css","/assets/de-Cuz7pCrb.js","/assets/de-DRGb4yYp.js","/assets/desk-CsOGguJ7.css","/assets/desk-D3Jwwohq.js","/assets/en-2zYylsPz.js","/assets/en-SlKyLF6-.js","/assets/es-BVqfz_zR.js","/assets/es-GwgrbznN.js","/assets/fr-D0iUMiuO.js","/assets/fr-Di-YjuGZ.js","/assets/index-C65v617x.css","/assets/index-sDgZAweg.js","/assets/nl-B_pkSbRC.js","/assets/nl-B_zkdarc.js"]; // both are filled in by the build; another build is another worker
const name = "022ce64474ef88d7c731bd3b248b02df4d0628ab8ba70725092cc82e2df77d36";

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
