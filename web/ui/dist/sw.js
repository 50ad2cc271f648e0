// Keeps the page itself at hand, so that a reload while the wifi is away shows the page, dark, and not the browser's own
// error. It keeps nothing of the room: no API, no state.
const files = ["/","/assets/Page-B5rayZvc.js","/assets/Page-QKt5PUk4.css","/assets/aside-D8aasAtV.css","/assets/aside-G7SYRahN.js","/assets/desk-CZXC0FSc.css","/assets/desk-DPCvms74.js","/assets/desk-locales-de-WsiKsxCc.js","/assets/desk-locales-en-CwfMk3cK.js","/assets/desk-locales-es-Uvx02TbP.js","/assets/desk-locales-fr-Cx3F29fq.js","/assets/desk-locales-nl-C7TtHYDA.js","/assets/desk-said-de-9iSZbboZ.js","/assets/desk-said-es-d4jpkSF-.js","/assets/desk-said-fr-B2ox3xhd.js","/assets/desk-said-nl-BwNlDT1W.js","/assets/index-BCXERf5e.css","/assets/index-Ba4yP_3k.js","/assets/inter-latin-ext-wght-normal-DO1Apj_S.woff2","/assets/inter-latin-wght-normal-Dx4kXJAl.woff2","/assets/locales-de-Barg2fe8.js","/assets/locales-en-A_87lbJi.js","/assets/locales-es-C7ctg9DR.js","/assets/locales-fr-DbbrerXP.js","/assets/locales-nl-qqJILs6a.js","/assets/said-de-BOFp0vPT.js","/assets/said-es-D-FFPd1Q.js","/assets/said-fr-C9NrTONw.js","/assets/said-nl-DZ8l7CrZ.js","/assets/screens-AftxgcCo.js","/assets/screens-C56lCk3-.css","/assets/shared-DjAch1Q3.css","/assets/shared-QlfKhBi7.js","/assets/wall-D-0kfPBB.js","/assets/wall-DxgYe1Ua.css"]; // both are filled in by the build; another build is another worker
const name = "734d59711b37b6343e40811ac90ddc29338a289f906215653cd84a75cfff9b09";

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
