// Keeps the page in the browser, so that it opens without a network from the second visit on. The
// first line, with `PAGE`, is put in front by Python's serving/static_page.py.

/** @typedef {{version: string, files: string[]}} Page */

const worker = /** @type {any} */ (self);
/** @type {Page} */
const page = worker.PAGE;
const PREFIX = "speech2face-page-";
const NAME = PREFIX + page.version;

worker.addEventListener("install", (/** @type {any} */ event) => {
  const requests = page.files.map((path) => new Request(path, { cache: "reload" }));
  event.waitUntil(caches.open(NAME).then((cache) => cache.addAll(requests))
    .then(() => worker.skipWaiting()));
});

worker.addEventListener("activate", (/** @type {any} */ event) => {
  event.waitUntil(caches.keys()
    .then((names) => names.filter((name) => name.startsWith(PREFIX) && name !== NAME))
    .then((old) => Promise.all(old.map((name) => caches.delete(name))))
    .then(() => worker.clients.claim()));
});

worker.addEventListener("fetch", (/** @type {any} */ event) => {
  const { request } = event;
  const { origin, pathname } = new URL(request.url);
  if (request.method !== "GET" || origin !== location.origin) return;
  const wanted = /\/(index\.html)?$/.test(pathname) ? "./" : request;
  event.respondWith(caches.open(NAME).then((cache) => cache.match(wanted))
    .then((kept) => kept ?? fetch(request)));
});
