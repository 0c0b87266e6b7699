// Keeps the page's files, so that it opens without a network. The export fills in the two constants.
const VERSION = '@VERSION@', FILES = '@FILES@';
const inside = new Set(FILES.map((name) => new URL(name, location).href));

addEventListener('install', (event) => event.waitUntil(
  caches.open(VERSION).then((cache) => cache.addAll(FILES.map((name) => new Request(name, { cache: 'reload' }))))
    .then(() => skipWaiting())));
addEventListener('activate', (event) => event.waitUntil(
  caches.keys().then((names) => Promise.all(
    names.filter((name) => name.startsWith('litepose-') && name !== VERSION).map((name) => caches.delete(name))))
    .then(() => clients.claim())));
addEventListener('fetch', (event) => {
  const url = event.request.url.split('?')[0];
  if (event.request.method !== 'GET' || !inside.has(url)) return;
  event.respondWith(caches.open(VERSION).then((cache) => cache.match(url)).then((kept) => kept ?? fetch(event.request)));
});
