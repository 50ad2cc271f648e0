// Keeps the page itself at hand, so that a reload while the wifi is away shows the page, dark, and not the browser's own
// error. It keeps nothing of the room: no API, no state.
const files = ["/","/assets/Arc-Cgme-w2c.css","/assets/Arc-pkeip-eA.js","/assets/Screen-Dsgiyxr-.js","/assets/Screen-IeRQgPvP.css","/assets/aside-QlzvjBw4.js","/assets/aside-te2NvuBz.css","/assets/de-CDGl1fPt.js","/assets/de-DOHe36JI.js","/assets/desk-8J53coEj.js","/assets/desk-CY3qs6Kw.css","/assets/en-BOXA-F8A.js","/assets/en-CCh0TNhL.js","/assets/es-CJFBxs0m.js","/assets/es-DbNiCs3d.js","/assets/fr-BzzHjZjv.js","/assets/fr-DtpnSVnW.js","/assets/index-C65v617x.css","/assets/index-DWEjwZqW.js","/assets/nl-Dczvjydk.js","/assets/nl-DyUz8TZt.js"]; // both are filled in by the build; another build is another worker
const name = "1f5e5cc97d336501fc9c5199db3f4bc137a947e8adeb8a5ea0dbf2b644477fde";

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
