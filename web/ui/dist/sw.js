// Keeps the page itself at hand, so that a reload while the wifi is away shows the page, dark, and not the browser's own
// error. It keeps nothing of the room: no API, no state.
const files = ["/","/assets/Arc-Cgme-w2c.css","/assets/Arc-corf4IBZ.js","/assets/Screen-g6gV6xc_.css","/assets/Screen-gT0GdzCn.js","/assets/aside-BJbFytkg.js","/assets/aside-te2NvuBz.css","/assets/de-DCFgpVGB.js","/assets/de-DRcnGlmp.js","/assets/desk-BZ8pPYas.js","/assets/desk-yRyyAWU1.css","/assets/en-BxkZJKKo.js","/assets/en-CiB25gbE.js","/assets/es-AZkgp7hg.js","/assets/es-D5Pkc9f8.js","/assets/fr-B2m_BHZd.js","/assets/fr-ByEw26Mm.js","/assets/index-C65v617x.css","/assets/index-Uv0UWbKh.js","/assets/nl-3W8KVg8b.js","/assets/nl-Dq0MKJ_5.js"]; // both are filled in by the build; another build is another worker
const name = "aa6ff2862490dc8f7924c6fd0bfc12ac1e44843b2f127987cc4f5e91fe81406e";

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
