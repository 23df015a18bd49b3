// Keeps the parts of a page marked with data-live fresh: fetches the address named there and swaps the part
// when the server's version of it has changed. Without this script the page is a page like any other.
// A failed fetch never breaks the page: it says so, and waits longer each time, two minutes at most.

const longest = 120_000;

function watch(part) {
  const every = Number(part.dataset.every) * 1000;
  let wait = every;

  async function look() {
    if (document.visibilityState === "visible") {
      try {
        wait = (await refresh()) ? every : 0;
      } catch {
        wait = Math.min(wait * 2, longest);
        say(part.dataset.lost);
      }
    }
    if (wait) setTimeout(look, wait);
  }

  // Answers whether there is anything left to watch.
  async function refresh() {
    const answer = await fetch(part.dataset.live, { headers: { Accept: "text/html" }, redirect: "error",
                                                    signal: AbortSignal.timeout(15_000) });
    if (answer.status === 404) return location.reload();
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("[data-live]");
    if (!fresh) throw new Error("not the part that was asked for");
    if (wait > every) say("");
    if (fresh.dataset.version !== part.dataset.version) swap(fresh);
    return part.hasAttribute("data-every");
  }

  function swap(fresh) {
    const open = [...part.querySelectorAll("details[open]")].map((each) => each.id);
    const focused = part.contains(document.activeElement) ? document.activeElement.id : "";
    for (const id of open) fresh.querySelector(`#${CSS.escape(id)}`)?.setAttribute("open", "");
    part.replaceChildren(...fresh.childNodes);
    for (const name of ["data-every", "data-version"]) {
      if (fresh.hasAttribute(name)) part.setAttribute(name, fresh.getAttribute(name));
      else part.removeAttribute(name);
    }
    if (focused) document.getElementById(focused)?.focus();
    if (!part.hasAttribute("data-every")) say(part.dataset.over);
  }

  setTimeout(look, every);
  document.addEventListener("visibilitychange", () => { if (wait && document.visibilityState === "visible") refresh().catch(() => {}); });
}

function say(text) {
  const line = document.getElementById("live-says");
  if (line && line.textContent !== (text ?? "")) line.textContent = text ?? "";
}

for (const part of document.querySelectorAll("[data-live][data-every]")) watch(part);
