// Keeps the page itself at hand, so that a reload while the wifi is away shows the page, dark, and not the browser's own
// error. It keeps nothing of the room: no API, no state.
const files = ["/","/assets/Arc-Cgme-w2c.css","/assets/Arc-cXd06jkI.js","/assets/Screen-CWQ1qcqb.js","/assets/Screen-IeRQgPvP.css","/assets/aside-DAZaoCKO.js","/assets/aside-te2NvuBz.css","/assets/de-B8GUmvnc.js","/assets/de-DpAjpe9P.js","/assets/desk-BmwtLfXG.js","/assets/desk-CiA_MNi4.css","/assets/en-D6Obvj9_.js","/assets/en-DiJFaf3l.js","/assets/es-C105DSCv.js","/assets/es-CEj6PDJt.js","/assets/fr-Bg_dRMRa.js","/assets/fr-BkzIIG5H.js","/assets/index-C65v617x.css","/assets/index-V456CMkJ.js","/assets/nl-B4WVU1q_.js","/assets/nl-CEjM-JCx.js"]; // both are filled in by the build; another build is another worker
const name = "448c11534cee0f081c35887a1c9a20086ebb560dc0290fc83df5772087f5df19";

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
