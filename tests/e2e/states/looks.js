// What is wrong with how the open page looks, as a list of sentences. Used by looks.py.
(() => {
  const wrong = [];
  const tell = (what, element, text) => {
    const place = element.closest("[id], [class]") || element;
    const name = place.id ? `#${place.id}` : `.${[...place.classList].join(".")}`;
    wrong.push(`${what}: ${JSON.stringify((text ?? element.textContent).trim().slice(0, 60))} in ${name}`);
  };

  const wide = document.documentElement.scrollWidth - innerWidth;
  if (wide > 0) wrong.push(`the page is ${wide} px too wide`);

  if (document.querySelectorAll("h1").length !== 1) wrong.push("not one heading of the first level");

  // Whatever is pressed on a phone is as high as a thumb, but for links in a sentence. A point of a
  // chart needs no aim: a tap anywhere in the chart reads the nearest one. A card's link reaches over
  // the whole card.
  const inSentence = (link) =>
    [...link.parentElement.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && /\p{L}/u.test(node.textContent));
  if (innerWidth <= 390) {
    for (const element of document.querySelectorAll("a[href], button, summary, select")) {
      const low = Math.ceil(element.getBoundingClientRect().height) < 44;
      if (low && element.checkVisibility() && !element.closest(".unseen, .points, article h2") && !inSentence(element)) tell("low", element);
    }
  }

  // Whoever aims at the middle of a link or a button hits it, on each of its lines.
  const hit = (element, box) => {
    const there = document.elementFromPoint((box.left + box.right) / 2, (box.top + box.bottom) / 2);
    return there === null || element.contains(there);
  };
  const parts = [document.scrollingElement, ...document.querySelectorAll(".scroll, .scroll-wide")];
  const places = parts.map((part) => [part.scrollLeft, part.scrollTop]);
  for (const element of document.querySelectorAll("a[href], button, summary")) {
    if (!element.checkVisibility({ opacityProperty: true, visibilityProperty: true }) || element.closest(".unseen, .points")) continue;
    element.scrollIntoView({ block: "center", inline: "center", behavior: "instant" });
    const other = [...element.getClientRects()].find((box) => box.width && box.height && !hit(element, box));
    if (other) tell("something else is hit", element);
  }
  parts.forEach((part, n) => part.scrollTo({ left: places[n][0], top: places[n][1], behavior: "instant" }));

  // Every line of text that can be seen, with its place.
  const scrolls = (element) => element.closest(".scroll, .scroll-wide");
  const clipped = new Map();
  const isClipped = (element) => {
    if (!element) return false;
    if (!clipped.has(element)) {
      const path = getComputedStyle(element).clipPath;
      clipped.set(element, path === "inset(50%)" || isClipped(element.parentElement));
    }
    return clipped.get(element);
  };
  const seen = (element) =>
    element.checkVisibility({ opacityProperty: true, visibilityProperty: true }) && !isClipped(element);
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const lines = [];
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const element = node.parentElement;
    if (!node.textContent.trim() || !seen(element) || element.closest("option, script, style, noscript, title")) continue;
    const range = document.createRange();
    range.selectNodeContents(node);
    for (const whole of range.getClientRects()) {
      const box = shown(whole, scrolls(element));
      if (box.width < 1 || box.height < 1) continue;
      lines.push({ node, element, box, block: element.closest("p, li, dt, dd, h1, h2, h3, th, td, a, button, text") });
    }
    words(node, element);
  }

  // What a scrolled part shows of a box.
  function shown(box, part) {
    if (!part) return box;
    const window = part.getBoundingClientRect();
    const [left, top] = [Math.max(box.left, window.left), Math.max(box.top, window.top)];
    const [right, bottom] = [Math.min(box.right, window.right), Math.min(box.bottom, window.bottom)];
    return { left, top, right, bottom, width: right - left, height: bottom - top };
  }

  // A word that is broken into pieces of fewer than three letters.
  function words(node, element) {
    if (element.closest(".code, code")) return;
    for (const { 0: word, index } of node.textContent.matchAll(/(?<![\w.@-])\p{L}{5,}(?![\w@]|\.\w)/gu)) {
      const range = document.createRange();
      range.setStart(node, index);
      range.setEnd(node, index + word.length);
      const tops = new Set([...range.getClientRects()].map((box) => Math.round(box.top)));
      if (tops.size > 1 && word.length / tops.size < 3) tell(`broken over ${tops.size} lines`, element, word);
    }
  }

  // Text outside of the window, or of its button, mark or card.
  for (const { element, box } of lines) {
    if (scrolls(element)) continue;
    if (box.left < -1 || box.right > innerWidth + 1) tell("outside of the window", element);
    const frame = element.closest("button, .button, .mark, .notice, .code, .ranges a, .sheet");
    const around = frame?.getBoundingClientRect();
    if (around && (box.left < around.left - 1 || box.right > around.right + 1)) tell("sticks out", element);
  }

  // Text that is cut off where nothing can be scrolled.
  for (const element of document.querySelectorAll("main *, header *, footer *")) {
    const style = getComputedStyle(element);
    if (!seen(element) || !element.textContent.trim() || element.closest("svg, select, option")) continue;
    const hides = (value) => value === "hidden" || value === "clip";
    if (hides(style.overflowX) && element.scrollWidth > element.clientWidth + 1) tell("cut off", element);
    if (hides(style.overflowY) && element.scrollHeight > element.clientHeight + 4) tell("cut off below", element);
  }

  // Two texts over each other. Lines of one block may be set tightly.
  lines.sort((one, other) => one.box.top - other.box.top);
  for (let first = 0; first < lines.length; first += 1) {
    const one = lines[first];
    for (let second = first + 1; second < lines.length; second += 1) {
      const other = lines[second];
      if (other.box.top >= one.box.bottom) break;
      if (one.node === other.node || one.block === other.block) continue;
      const across = Math.min(one.box.right, other.box.right) - Math.max(one.box.left, other.box.left);
      const down = Math.min(one.box.bottom, other.box.bottom) - Math.max(one.box.top, other.box.top);
      const low = Math.min(one.box.height, other.box.height);
      if (across > 2 && down > 0.3 * low) {
        tell("overlap", one.element, `${one.element.textContent.trim().slice(0, 30)} / ${other.element.textContent.trim()}`);
      }
    }
  }

  // Fields over text or over each other.
  const fields = [...document.querySelectorAll("main :is(input, select, textarea, button, .button)")].filter(seen);
  for (const field of fields) {
    const box = field.getBoundingClientRect();
    if (box.right > innerWidth + 1 || box.left < -1) tell("outside of the window", field, field.name || field.textContent);
    for (const line of lines) {
      if (field.contains(line.element)) continue;
      const across = Math.min(line.box.right, box.right) - Math.max(line.box.left, box.left);
      const down = Math.min(line.box.bottom, box.bottom) - Math.max(line.box.top, box.top);
      if (across > 2 && down > 0.3 * line.box.height && !scrolls(line.element)) tell("under a field", line.element);
    }
  }
  return [...new Set(wrong)];
})()
