// Keeps the page itself at hand, so that a reload while the wifi is away shows the page, dark, and not the browser's own
// error. It keeps nothing of the room: no API, no state.
const files = ["/","/assets/Arc-CekOR2tO.js","/assets/Arc-Cgme-w2c.css","/assets/Screen-IeRQgPvP.css","/assets/Screen-udu6PmZK.js","/assets/aside-DTfEvxVA.js","/assets/aside-te2NvuBz.css","/assets/de-BAIvdZfk.js","/assets/de-CDGl1fPt.js","/assets/desk-BPKmJ_FM.js","/assets/desk-sS9IOCTg.css","/assets/en-BOXA-F8A.js","/assets/en-Cw7-Wm34.js","/assets/es-DbNiCs3d.js","/assets/es-DwF6KnVe.js","/assets/fr-DdFZI7zO.js","/assets/fr-DtpnSVnW.js","/assets/index-0gKc0Jxn.js","/assets/index-C65v617x.css","/assets/nl-9dskA4mJ.js","/assets/nl-DyUz8TZt.js"]; // both are filled in by the build; another build is another worker
const name = "34d7f5f897bef6745b0e9006c811c9f42eef88939270bd8a7af345ab9b4798c0";

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
