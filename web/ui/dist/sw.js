// Keeps the page itself at hand, so that a reload while the wifi is away shows the page, dark, and not the browser's own
// error. It keeps nothing of the room: no API, no state.
const files = ["/","/assets/Arc-Cgme-w2c.css","/assets/Arc-DO0DK1xS.js","/assets/Screen-IeRQgPvP.css","/assets/Screen-xr9GpmBa.js","/assets/aside-DHQatllp.js","/assets/aside-te2NvuBz.css","/assets/de-CDGl1fPt.js","/assets/de-rBYVtFIS.js","/assets/desk-6a94Eh_B.js","/assets/desk-DPmdw7t_.css","/assets/en-BOXA-F8A.js","/assets/en-DabZqGax.js","/assets/es-Bjrz7hC5.js","/assets/es-DbNiCs3d.js","/assets/fr-DUsRs1Vn.js","/assets/fr-DtpnSVnW.js","/assets/index-C65v617x.css","/assets/index-rrmoMHC3.js","/assets/nl-A5mcYooG.js","/assets/nl-DyUz8TZt.js"]; // both are filled in by the build; another build is another worker
const name = "eafaa86fa5d93e242ab7f01b22003f9f05fecc6d082c971e3d65574621dc69ee";

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
