// Keeps the page itself at hand, so that a reload while the wifi is away shows the page, dark, and not the browser's own
// error. It keeps nothing of the room: no API, no state.
const files = ["/","/assets/Arc-Cgme-w2c.css","/assets/Arc-ZIf43DrL.js","/assets/Screen-CqyXezff.js","/assets/Screen-g6gV6xc_.css","/assets/aside-D1V43vwK.js","/assets/aside-te2NvuBz.css","/assets/de-DRcnGlmp.js","/assets/de-Dciloq7x.js","/assets/desk-kRiEVYno.css","/assets/desk-oW9TD7Qc.js","/assets/en-BxkZJKKo.js","/assets/en-CjxVlGd2.js","/assets/es-D5Pkc9f8.js","/assets/es-DS8nA58m.js","/assets/fr-B2m_BHZd.js","/assets/fr-BhKcCAAm.js","/assets/index-C65v617x.css","/assets/index-na2Nzoby.js","/assets/nl-3W8KVg8b.js","/assets/nl-DkU9jAIU.js"]; // both are filled in by the build; another build is another worker
const name = "d1823b999c262a5889246852d07fc9a52d7514fa0976b89fc048f51ee727eda8";

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
