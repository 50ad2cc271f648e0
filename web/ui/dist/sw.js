// Keeps the page itself at hand, so that a reload while the wifi is away shows the page, dark, and not the browser's own
// error. It keeps nothing of the room: no API, no state.
const files = ["/","/assets/HoldKey-CUFTslw3.js","/assets/aside-Cq2ctiFm.js","/assets/de-C7iU6EFE.js","/assets/en-CZOKydEB.js","/assets/es-VXlPNcCG.js","/assets/fr-BBehcjID.js","/assets/index-2ULbGXAX.js","/assets/nl-Dm2pZHcs.js","/assets/style-D7pydknB.css"]; // both are filled in by the build; another build is another worker
const name = "e759fb74c564abffeb77dfba7c5a108a819a68ef0969ebcff7bbc5c9b3982711";

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
