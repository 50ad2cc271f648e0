// Keeps the page itself at hand, so that a reload while the wifi is away shows the page, dark, and not the browser's own
// error. It keeps nothing of the room: no API, no state.
const files = ["/","/assets/Arc-BMh6OgUA.js","/assets/Arc-Cgme-w2c.css","/assets/Screen-IeRQgPvP.css","/assets/Screen-dB_E1gCB.js","/assets/aside-BE4GwLSE.js","/assets/aside-te2NvuBz.css","/assets/de-DA-EwHZy.js","/assets/de-DpAjpe9P.js","/assets/desk-0BA2Jxqt.js","/assets/desk-Capu0MM8.css","/assets/en-Cr10Vr8s.js","/assets/en-D6Obvj9_.js","/assets/es-CEj6PDJt.js","/assets/es-DM-ou0sj.js","/assets/fr-BkzIIG5H.js","/assets/fr-CZCiP84o.js","/assets/index-C65v617x.css","/assets/index-lCMeEHlS.js","/assets/nl-B4WVU1q_.js","/assets/nl-DAmv9J16.js"]; // both are filled in by the build; another build is another worker
const name = "b08ebdfc5b0661b805dc3be0c961aaae891045c548231cf77e2abd740fb10d0e";

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
