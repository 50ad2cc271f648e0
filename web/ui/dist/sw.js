// Keeps the page itself at hand, so that a reload while the wifi is away shows the page, dark, and not the browser's own
// error. It keeps nothing of the room: no API, no state.
const files = ["/","/assets/Arc-CZIe_mFp.js","/assets/Arc-Cgme-w2c.css","/assets/Screen-BPlzHtHt.js","/assets/Screen-g6gV6xc_.css","/assets/aside-DvnLNTdI.js","/assets/aside-te2NvuBz.css","/assets/de-2-zPwI5c.js","/assets/de-Cuz7pCrb.js","/assets/desk-DPmdw7t_.css","/assets/desk-DmdIwWxS.js","/assets/en-2zYylsPz.js","/assets/en-Bof6CUeH.js","/assets/es-BJdpsHPU.js","/assets/es-BVqfz_zR.js","/assets/fr-B5EptQ8u.js","/assets/fr-Di-YjuGZ.js","/assets/index-C65v617x.css","/assets/index-D4T38cbj.js","/assets/nl-B_zkdarc.js","/assets/nl-CE2MlCAn.js"]; // both are filled in by the build; another build is another worker
const name = "76a8be31e45977772558228e87f8bed7a9e1277f099e325319d491ef743a4525";

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
