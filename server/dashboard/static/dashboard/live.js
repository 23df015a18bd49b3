// Refresh the part of a page marked with data-live: fetch its URL, and replace the part if the server's
// version has changed. The server answers 304, without drawing it, if the version is still right.
// The page also works without this script.
// After a failed fetch, show a message and retry with growing pauses of at most two minutes.
// If the user may no longer see the part, reload the page, which shows the error.

const LONGEST_MS = 120_000;
const PATIENCE_MS = 15_000;

function watch(part) {
  const every = () => Number(part.dataset.every) * 1000;
  let wait = every();

  async function look() {
    if (document.visibilityState === "visible") await attempt();
    if (part.hasAttribute("data-every")) setTimeout(look, wait);
  }

  async function attempt() {
    try {
      const fresh = await fetched(part.dataset.live, part.dataset.version);
      if (fresh && fresh.dataset.version !== part.dataset.version) swap(part, fresh);
      say(part.hasAttribute("data-every") ? "" : part.dataset.over);
      wait = every();
    } catch {
      say(part.dataset.lost);
      wait = Math.min(wait * 2, LONGEST_MS);
    }
  }

  setTimeout(look, wait);
}

// The part as it is now, or null if it has not changed.
async function fetched(address, version) {
  const headers = { "If-None-Match": `"${version}"` };
  const answer = await fetch(address, { headers, redirect: "manual", signal: AbortSignal.timeout(PATIENCE_MS) });
  if (answer.status === 304) return null;
  if (answer.type === "opaqueredirect" || answer.status === 404) location.reload();
  if (!answer.ok) throw new Error(`status ${answer.status}`);
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const fresh = page.querySelector("[data-live]");
  if (!fresh) throw new Error("the response has no data-live part");
  return fresh;
}

// Keep open tables open, what was selected, and the focus.
function swap(part, fresh) {
  const focused = part.contains(document.activeElement) ? document.activeElement.id : "";
  for (const { id } of part.querySelectorAll("details[open]")) {
    fresh.querySelector(`#${CSS.escape(id)}`)?.setAttribute("open", "");
  }
  for (const { id, value } of part.querySelectorAll("select[id]")) {
    const same = fresh.querySelector(`#${CSS.escape(id)}`);
    if (same) same.value = value;
  }
  part.replaceChildren(...fresh.childNodes);
  part.dataset.version = fresh.dataset.version;
  if (fresh.hasAttribute("data-every")) part.dataset.every = fresh.dataset.every;
  else part.removeAttribute("data-every");
  document.dispatchEvent(new Event("blinklog:fresh"));
  tell(part.querySelector("[data-news]")?.textContent.trim());
  if (focused) document.getElementById(focused)?.focus();
}

// Into a region that stays on the page: a new region is not read out.
function tell(news = "") {
  const line = document.getElementById("live-news");
  if (line && line.textContent !== news) line.textContent = news;
}

function say(text = "") {
  const line = document.getElementById("live-says");
  if (line && line.textContent !== text) line.textContent = text;
}

for (const part of document.querySelectorAll("[data-live][data-every]")) watch(part);
