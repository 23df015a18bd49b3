// On every page: propose the browser's time zone, and bring errors into view. Pages work without it.

const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;

for (const list of document.querySelectorAll("select[data-browser-zone]")) {
  const known = [...list.options].some((option) => option.value === zone);
  if (known && list.value === "UTC") list.value = zone;
}

// For an account that is still in UTC: offer the browser's zone.
for (const note of document.querySelectorAll("[data-zone-note]")) {
  if (!zone || zone === "UTC" || zone.startsWith("Etc/")) continue;
  for (const place of note.querySelectorAll("[data-zone]")) place.textContent = zone.replaceAll("_", " ");
  note.querySelector("input[name=timezone]").value = zone;
  note.hidden = false;
}

document.getElementById("form-errors")?.focus();
