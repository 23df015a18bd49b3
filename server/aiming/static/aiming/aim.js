// Show the views of a device that is being aimed: the drawing, the numbers, and what to do.
// The device aims for a minute after it was asked, so ask again every 20 s while the page is visible.

const LOOK_MS = 200;
const SLOW_MS = 2000;
const ASK_MS = 20_000;
const LOST_MS = 6000;
const PATIENCE_MS = 5000;

const part = document.getElementById("aim");
const says = document.getElementById("aim-says");
const detail = document.getElementById("aim-detail");
const drawing = document.getElementById("aim-drawing");
const shapes = [...drawing.querySelectorAll("polygon")];
const language = document.documentElement.lang || "en";

let asked = performance.now();
let seen = 0;
let told = "";

async function look() {
  let wait = LOOK_MS;
  if (document.visibilityState === "visible") {
    try {
      if (performance.now() - asked > ASK_MS) await ask();
      show(await answer(part.dataset.view));
    } catch {
      lost();
      wait = SLOW_MS;
    }
  }
  if (!part.hasAttribute("data-ended")) setTimeout(look, wait);
}

async function answer(address, options = {}) {
  const got = await fetch(address, {
    redirect: "manual", signal: AbortSignal.timeout(PATIENCE_MS), headers: { Accept: "application/json" }, ...options,
  });
  if (got.type === "opaqueredirect" || got.status === 404) {
    part.setAttribute("data-ended", "");
    say(part.dataset.over);
  }
  if (!got.ok) throw new Error(`status ${got.status}`);
  return got.json();
}

async function ask() {
  asked = performance.now();
  const token = part.querySelector("[name=csrfmiddlewaretoken]").value;
  const { problem } = await answer(part.dataset.ask, {
    method: "POST", headers: { Accept: "application/json", "X-CSRFToken": token },
  });
  if (problem) say(problem);
}

function show(view) {
  if (!view.advice) return lost();
  seen = performance.now();
  // The heading is read out, so it changes only if there is something else to do.
  if (view.advice !== told) say(view.found == null ? view.sentence : view.sentence.split(/[:.]/)[0]);
  told = view.advice;
  detail.textContent = view.found == null ? "" : view.sentence;
  part.toggleAttribute("data-blinked", view.blinked);
  part.dataset.advice = view.advice;
  const aspect = view.aspect || 4 / 3;
  drawing.setAttribute("viewBox", `0 0 ${(aspect * 100).toFixed(1)} 100`);
  [view.outline, ...view.lids, [], []].slice(0, 3).forEach((points, index) => {
    const text = points.map(([x, y]) => `${(x * aspect * 100).toFixed(1)},${(y * 100).toFixed(1)}`);
    shapes[index].setAttribute("points", text.join(" "));
  });
  for (const cell of part.querySelectorAll("[data-name]")) write(cell, view[cell.dataset.name]);
}

function write(cell, value) {
  const { factor = 1, places, unit = "" } = cell.dataset;
  const digits = { minimumFractionDigits: Number(places), maximumFractionDigits: Number(places) };
  // "+ 0" because a rounded -0.4 is written as -0.
  const shown = value == null ? "–" : (Number((value * factor).toFixed(places)) + 0).toLocaleString(language, digits);
  cell.textContent = value == null || !unit ? shown : `${shown} ${unit}`;
}

function lost() {
  if (performance.now() - seen < LOST_MS || part.hasAttribute("data-ended")) return;
  told = "";
  say(seen ? part.dataset.lost : part.dataset.waiting);
  detail.textContent = "";
  for (const shape of shapes) shape.setAttribute("points", "");
}

function say(text) {
  if (says.textContent !== text) says.textContent = text;
}

look();
