// The installed app: keeps the last pages on the phone, to be shown while there is no connection.

const VIEWS = "views";
const MOST = 20;
// Pages of measurements and alerts, and no others: some show codes or secrets.
const KEPT = /^\/(people\/[^/]+\/|sessions\/[^/]+\/|alerts\/)?$/;
const installed = navigator.standalone || matchMedia("(display-mode: standalone)").matches;
const note = document.getElementById("saved");
const isSaved = document.documentElement.hasAttribute("data-saved");

if ("serviceWorker" in navigator && "caches" in window) {
  navigator.serviceWorker.register("/service-worker.js").catch(() => {});
  if (isSaved) show();
  else if (!document.querySelector("nav.places")) caches.delete(VIEWS); // nobody is logged in
  else if (installed) {
    keep();
    document.addEventListener("visibilitychange", () => document.hidden && keep());
  }
}

// Save the page as it is now, marked with the time, without forms and without refreshing itself.
async function keep() {
  if (!KEPT.test(location.pathname)) return;
  const copy = document.documentElement.cloneNode(true);
  copy.setAttribute("data-saved", new Date().toISOString());
  for (const each of copy.querySelectorAll("[data-live]")) each.removeAttribute("data-live");
  for (const each of copy.querySelectorAll("form")) each.remove();
  const headers = { "Content-Type": "text/html; charset=utf-8" };
  const cache = await caches.open(VIEWS);
  await cache.delete(location.href);
  await cache.put(location.href, new Response(`<!doctype html>${copy.outerHTML}`, { headers }));
  const kept = await cache.keys();
  for (const old of kept.slice(0, Math.max(0, kept.length - MOST))) await cache.delete(old);
}

// Say from when this page is.
function show() {
  const at = new Date(document.documentElement.dataset.saved);
  const time = note.querySelector("time");
  time.dateTime = at.toISOString();
  time.textContent = at.toLocaleString(document.documentElement.lang, { dateStyle: "medium", timeStyle: "short" });
  note.hidden = false;
}
