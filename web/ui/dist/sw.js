// Keeps the page itself at hand, so that a reload while the wifi is away shows the page, dark, and not the browser's own
// error. It keeps nothing of the room: no API, no state.
const files = ["/","/assets/Arc-Cgme-w2c.css","/assets/Arc-D-oTTci1.js","/assets/Screen-0nq1yTJj.js","/assets/Screen-g6gV6xc_.css","/assets/aside-DdbCSvaB.js","/assets/aside-te2NvuBz.css","/assets/de-DRcnGlmp.js","/assets/de-rBYVtFIS.js","/assets/desk-DPmdw7t_.css","/assets/desk-Q8ti-pfE.js","/assets/en-BxkZJKKo.js","/assets/en-DabZqGax.js","/assets/es-Bjrz7hC5.js","/assets/es-D5Pkc9f8.js","/assets/fr-B2m_BHZd.js","/assets/fr-DUsRs1Vn.js","/assets/index-C65v617x.css","/assets/index-h1hfLNcA.js","/assets/nl-3W8KVg8b.js","/assets/nl-A5mcYooG.js"]; // both are filled in by the build; another build is another worker
const name = "96fa9511a6dbe6675e5b9ec217a6f8f5c3f1e6a1ef009c449e2fc9df2196bf02";

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
