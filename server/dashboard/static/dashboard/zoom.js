// Narrow a person's page to a span of days: drag over a chart, or press Space on the first and on the last day.
// charts.js shows the values. Without this script, the two date fields do the same.

const LEAST_PX = 12; // a shorter drag is a click
const ZOOMABLE = "[data-chart][data-first]";
const starts = new WeakMap(); // a chart -> the day on which Space was pressed
let drag = null;
let isOver = false; // a drag has just ended: its click opens nothing

const daysOf = (chart) => Number(chart.dataset.days);
const within = (chart, day) => Math.max(0, Math.min(daysOf(chart) - 1, Math.floor(day)));

function dayAt(chart, clientX) {
  const plot = chart.querySelector(".points").getBoundingClientRect();
  return within(chart, ((clientX - plot.left) / plot.width) * daysOf(chart));
}

// The day of the point that charts.js shows, or null.
function dayShown(chart) {
  const shape = chart.querySelector(".points .shown");
  if (!shape) return null;
  const value = (name) => Number.parseFloat(shape.getAttribute(name));
  const x = shape.matches("circle") ? value("cx") : value("x") + value("width") / 2;
  return within(chart, (x / 100) * daysOf(chart));
}

function dateOf(chart, day) {
  const date = new Date(`${chart.dataset.first}T00:00:00Z`);
  date.setUTCDate(date.getUTCDate() + day);
  return date;
}

const ends = (chart, one, other) => [Math.min(one, other), Math.max(one, other)].map((day) => dateOf(chart, day));

function words(chart, one, other) {
  const form = { day: "numeric", month: "short", timeZone: "UTC" };
  const lang = document.documentElement.lang;
  return new Intl.DateTimeFormat(lang === "en" ? "en-GB" : lang, form).formatRange(...ends(chart, one, other));
}

// Mark the days from `one` to `other`, and say which they are.
function mark(chart, one, other, value = "") {
  const box = chart.querySelector(".chart-span") ?? chart.appendChild(document.createElement("div"));
  box.className = "chart-span";
  const plot = chart.querySelector(".points").getBoundingClientRect();
  const room = chart.getBoundingClientRect();
  const width = plot.width / daysOf(chart);
  box.style.left = `${plot.left - room.left + Math.min(one, other) * width}px`;
  box.style.width = `${(Math.abs(other - one) + 1) * width}px`;
  box.style.top = `${plot.top - room.top}px`;
  box.style.height = `${plot.height}px`;
  const says = chart.querySelector(".chart-says");
  says.textContent = [value, words(chart, one, other)].filter(Boolean).join(" · ");
  says.style.transform = "none";
  chart.classList.add("reading");
}

function clear(chart) {
  starts.delete(chart);
  chart.querySelector(".chart-span")?.remove();
}

function stop() {
  if (!drag) return;
  clear(drag.chart);
  if (drag.moved) drag.chart.classList.remove("reading");
  drag = null;
}

function narrow(chart, one, other) {
  const [from, to] = ends(chart, one, other).map((date) => date.toISOString().slice(0, 10));
  const query = new URLSearchParams({ from, to });
  const activity = new URLSearchParams(location.search).get("activity");
  if (activity) query.set("activity", activity);
  location.assign(`?${query}#span`);
}

document.addEventListener("pointerdown", (event) => {
  const chart = event.target.closest?.(ZOOMABLE);
  if (!chart || !event.isPrimary || event.button !== 0) return;
  drag = { chart, x: event.clientX, day: dayAt(chart, event.clientX), moved: false };
});

// Before charts.js, so that it does not show values meanwhile.
document.addEventListener("pointermove", (event) => {
  if (!drag || (!drag.moved && Math.abs(event.clientX - drag.x) < LEAST_PX)) return;
  if (!drag.moved) drag.chart.setPointerCapture(event.pointerId);
  drag.moved = true;
  event.stopPropagation();
  mark(drag.chart, drag.day, dayAt(drag.chart, event.clientX));
}, true);

document.addEventListener("pointerup", (event) => {
  if (drag?.moved) {
    isOver = true;
    setTimeout(() => (isOver = false));
    narrow(drag.chart, drag.day, dayAt(drag.chart, event.clientX));
  }
  stop();
});

document.addEventListener("click", (event) => {
  if (!isOver) return;
  event.preventDefault();
  event.stopPropagation();
}, true);

document.addEventListener("pointercancel", stop);

// A point is a link, which the browser would drag away.
document.addEventListener("dragstart", (event) => event.target.closest?.(ZOOMABLE) && event.preventDefault());

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") stop();
  const chart = event.target;
  if (!chart.matches?.(ZOOMABLE) || event.ctrlKey || event.metaKey || event.altKey) return;
  const [day, start] = [dayShown(chart), starts.get(chart)];
  if (event.key === "Escape" || day === null) return clear(chart);
  if (event.key === " ") {
    event.preventDefault();
    if (start !== undefined) return narrow(chart, start, day);
    starts.set(chart, day);
  }
  if (starts.has(chart)) mark(chart, starts.get(chart), day, chart.querySelector(".chart-says").textContent);
});

document.addEventListener("focusout", (event) => event.target.matches?.(ZOOMABLE) && clear(event.target));

for (const hint of document.querySelectorAll("[data-zoom]")) hint.hidden = false;
