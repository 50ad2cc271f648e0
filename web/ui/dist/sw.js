// Keeps the page itself at hand, so that a reload while the wifi is away shows the page, dark, and not the browser's own
// error. It keeps nothing of the room: no API, no state.
const files = ["/","/assets/HoldKey-CzwnabdM.js","/assets/aside-CgDzhM0Y.js","/assets/de-BdKDcPnu.js","/assets/en-D9PF_oAV.js","/assets/es-DD7ePFc3.js","/assets/fr-CeMjsC3b.js","/assets/index-CiTrfZNJ.js","/assets/nl-C8JtT-11.js","/assets/style-bztFGu_c.css"]; // both are filled in by the build; another build is another worker
const name = "3a14e0bfc4b7a7cfe72bea813056c272761bb295edb7b26e4f2f60a50b0d87d9";

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
