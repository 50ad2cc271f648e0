// Keeps the page itself at hand, so that a reload while the wifi is away shows the page, dark, and not the browser's own
// error. It keeps nothing of the room: no API, no state.
const files = ["/","/assets/Arc-Cgme-w2c.css","/assets/Arc-jq3QtoP_.js","/assets/Screen-BKdkyBVp.js","/assets/Screen-g6gV6xc_.css","/assets/aside-CjskAELe.js","/assets/aside-te2NvuBz.css","/assets/de-CS3AD1K4.js","/assets/de-Cuz7pCrb.js","/assets/desk-BtktW42B.js","/assets/desk-CsOGguJ7.css","/assets/en-2zYylsPz.js","/assets/en-SlKyLF6-.js","/assets/es-BVqfz_zR.js","/assets/es-GwgrbznN.js","/assets/fr-D0iUMiuO.js","/assets/fr-Di-YjuGZ.js","/assets/index-BQpzH-Aq.js","/assets/index-C65v617x.css","/assets/nl-B_pkSbRC.js","/assets/nl-B_zkdarc.js"]; // both are filled in by the build; another build is another worker
const name = "c2a4a5336c7afe6505fdcdbdec503a45b2216b81ad923207644df1b3e141bc7a";

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
