// Keeps the shell of the app, and shows a saved page, marked as old, while the server is away.
// Pages are saved by app.js, and only in the installed app. Nothing but pages is answered from here.

const SHELL = "shell-1";
const VIEWS = "views";
const FILES = [{% for file in shell %}"{{ file|escapejs }}", {% endfor %}"/offline/"];
const WAIT_MS = 8000;

self.addEventListener("install", (event) => {
  event.waitUntil(caches.open(SHELL).then((cache) => cache.addAll(FILES)).then(() => self.skipWaiting()));
});

self.addEventListener("activate", (event) => {
  const old = (name) => name !== SHELL && name !== VIEWS;
  event.waitUntil(
    caches.keys()
      .then((names) => Promise.all(names.filter(old).map((name) => caches.delete(name))))
      .then(() => self.clients.claim())
  );
});

self.addEventListener("fetch", (event) => {
  const { request } = event;
  const url = new URL(request.url);
  if (request.method !== "GET" || url.origin !== self.location.origin) return;
  if (request.mode === "navigate") event.respondWith(page(request));
  else if (FILES.includes(url.pathname)) event.respondWith(file(request));
});

async function page(request) {
  try {
    return await fetch(request, { signal: AbortSignal.timeout(WAIT_MS) });
  } catch {
    return (await caches.open(VIEWS).then((cache) => cache.match(request.url)))
      || (await caches.match("/offline/"));
  }
}

async function file(request) {
  try {
    const answer = await fetch(request);
    if (answer.ok) await caches.open(SHELL).then((cache) => cache.put(request, answer.clone()));
    return answer;
  } catch {
    return caches.match(request);
  }
}
