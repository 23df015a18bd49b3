// Values of a chart under the pointer and by keyboard: the arrow keys go along the points, Enter opens the page
// that a point links to. The text of each point and its link are in the drawing; without this script, the browser
// shows the text of a point as a tooltip, and the link works.

const NEAR_PX = 32;
const known = new WeakMap(); // a chart -> its points, in order, and the one that is shown

function pointsOf(chart) {
  if (!known.has(chart)) {
    const points = [...chart.querySelectorAll(".points title")].map((title) => {
      const group = title.parentNode;
      const shape = group.matches("a, g") ? group.querySelector("circle, rect, .sign") : group;
      return { group, shape, text: title.textContent, ...placeOf(shape) };
    });
    points.sort((one, other) => one.x - other.x);
    for (const { group } of points) group.querySelector("title").remove(); // no second tooltip
    known.set(chart, { points, at: -1 });
  }
  return known.get(chart);
}

// In percent of the plot. A bar is found by its column, at any height; the symbol of notes stands at the top.
function placeOf(shape) {
  const value = (name) => Number.parseFloat(shape.getAttribute(name));
  if (shape.matches(".sign")) return { x: value("x"), y: 0, tall: false };
  if (shape.matches("circle")) return { x: value("cx"), y: value("cy"), tall: false };
  return { x: value("x") + value("width") / 2, y: value("y"), tall: true };
}

function show(chart, at) {
  const state = pointsOf(chart);
  state.points[state.at]?.shape.classList.remove("shown");
  state.at = at;
  const point = state.points[at];
  const says = chart.querySelector(".chart-says");
  chart.classList.toggle("reading", Boolean(point));
  says.textContent = point?.text ?? "";
  if (!point) return;
  point.shape.classList.add("shown");
  const plot = chart.querySelector(".points").getBoundingClientRect();
  const room = chart.getBoundingClientRect();
  const x = plot.left - room.left + (point.x / 100) * plot.width - says.offsetWidth / 2;
  const y = plot.top - room.top + (point.y / 100) * plot.height - says.offsetHeight - 12;
  const left = Math.max(0, Math.min(x, room.width - says.offsetWidth));
  says.style.transform = `translate(${left}px, ${y}px)`;
}

function nearest(chart, event) {
  const plot = chart.querySelector(".points").getBoundingClientRect();
  let found = -1;
  let least = Number.POSITIVE_INFINITY;
  pointsOf(chart).points.forEach((point, n) => {
    const across = Math.abs(plot.left + (point.x / 100) * plot.width - event.clientX);
    const up = point.tall ? 0 : Math.abs(plot.top + (point.y / 100) * plot.height - event.clientY);
    const far = point.group.contains(event.target) ? -1 : Math.hypot(across * 2, up);
    if (far < least) [found, least] = [n, far];
  });
  return { at: found, near: least < NEAR_PX };
}

const chartOf = (event) => event.target.closest?.("[data-chart]");

document.addEventListener("pointermove", (event) => {
  const chart = chartOf(event);
  for (const other of document.querySelectorAll("[data-chart].reading")) {
    if (other !== chart && other !== document.activeElement) show(other, -1);
  }
  if (chart && event.pointerType === "mouse") show(chart, nearest(chart, event).at);
});

// A finger hides the point below it: the first tap shows its value, the second one opens it.
document.addEventListener("click", (event) => {
  const chart = chartOf(event);
  if (!chart || !event.isTrusted) return;
  const { at, near } = nearest(chart, event);
  const again = pointsOf(chart).at === at;
  const isTouch = event.pointerType !== "mouse";
  if (event.target.closest("a") && !isTouch) return;
  event.preventDefault();
  show(chart, at);
  if (near && again) open(chart);
});

function open(chart) {
  const { points, at } = pointsOf(chart);
  const link = points[at]?.group;
  if (link?.matches("a")) location.assign(link.getAttribute("href"));
}

document.addEventListener("keydown", (event) => {
  const chart = event.target;
  if (!chart.matches?.("[data-chart]") || event.ctrlKey || event.metaKey || event.altKey) return;
  const { points, at } = pointsOf(chart);
  const last = points.length - 1;
  const moves = {
    ArrowRight: Math.min(at + 1, last),
    ArrowLeft: at < 0 ? last : Math.max(at - 1, 0),
    Home: 0,
    End: last,
    Escape: -1,
  };
  if (event.key === "Enter") open(chart);
  else if (event.key in moves) show(chart, moves[event.key]);
  else return;
  event.preventDefault();
});

document.addEventListener("focusout", (event) => {
  if (event.target.matches?.("[data-chart]")) show(event.target, -1);
});

// Make each chart one stop of the Tab key. Live parts bring new ones.
function prepare() {
  for (const chart of document.querySelectorAll("[data-chart]:not([tabindex])")) {
    chart.tabIndex = 0;
    chart.setAttribute("role", "application");
    const label = chart.querySelector(".picture").getAttribute("aria-label");
    chart.setAttribute("aria-label", `${label} ${chart.dataset.keys}`);
  }
}

document.addEventListener("blinklog:fresh", prepare);
prepare();
