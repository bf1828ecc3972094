// Files of a folder: directories open in place (so that uploads go on), acts ask in a dialog, files are dropped where they shall go.
import { openAct } from "./explorer_dialog.js";
import { watchDrops } from "./explorer_upload.js";
import { dressTimes } from "./times.js";

const OPTIONS = { redirect: "error", cache: "no-store" };
let busy = null;

export function explorer() {
  return document.getElementById("explorer");
}

// Show another view of the folder here. What it is asked for last is what is shown.
export async function show(url, { push = true, focus = true } = {}) {
  busy?.abort();
  busy = new AbortController();
  const { signal } = busy;
  explorer().setAttribute("aria-busy", "true");
  try {
    const headers = { Accept: "text/html", "X-XSRFToken": explorer().dataset.xsrf };
    const response = await fetch(url, { ...OPTIONS, headers, signal });
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    const fresh = page.getElementById("explorer");
    if (!fresh) throw new Error("no explorer");
    const old = explorer();
    old.replaceWith(document.adoptNode(fresh));
    // A notice is told once: it is not in the address that is kept.
    const address = new URL(fresh.querySelector("#explorer-done:not([hidden])") ? fresh.dataset.here : url, window.location.href);
    if (push && address.href !== window.location.href) window.history.pushState({}, "", address);
    prepare();
    if (focus) fresh.focus({ preventScroll: true });
  } catch (error) {
    if (error.name !== "AbortError") window.location.assign(url);
  }
}

// The same view again; what was chosen stays so.
export async function refresh() {
  const chosen = new Set([...explorer().querySelectorAll("[name=item]:checked")].map((box) => box.value));
  const focused = document.activeElement?.id;
  const inside = explorer().contains(document.activeElement);
  await show(window.location.href, { push: false, focus: false });
  for (const box of explorer().querySelectorAll("[name=item]")) box.checked = chosen.has(box.value);
  countChosen();
  if (inside && focused) document.getElementById(focused)?.focus({ preventScroll: true });
}

function isPlainClick(event) {
  return !event.defaultPrevented && !event.button && !event.ctrlKey && !event.metaKey && !event.shiftKey && !event.altKey;
}

function onClick(event) {
  const link = event.target.closest?.("#explorer a[href]");
  if (!link || !isPlainClick(event) || link.hasAttribute("download")) return;
  const url = new URL(link.href);
  if (url.origin !== window.location.origin || url.pathname !== window.location.pathname) return;
  event.preventDefault();
  show(url.href);
}

function onSubmit(event) {
  const form = event.target;
  if (!form.closest("#explorer")) return;
  if (form.method === "get") {
    event.preventDefault();
    const url = new URL(form.action);
    for (const [name, value] of new FormData(form)) if (value) url.searchParams.set(name, value);
    show(url.href);
  } else if (form.hasAttribute("data-dialog") && !event.submitter?.hasAttribute("data-plain")) {
    event.preventDefault();
    openAct(form, event.submitter, (url) => show(url));
  }
}

function countChosen() {
  const boxes = [...document.querySelectorAll("#selection [name=item]")];
  const count = boxes.filter((box) => box.checked).length;
  for (const box of boxes) box.closest("tr").classList.toggle("table-active", box.checked);
  for (const button of document.querySelectorAll("#selection [data-needs]")) {
    button.disabled = button.dataset.needs ? count !== Number(button.dataset.needs) : !count;
  }
  const words = document.getElementById("chosen");
  if (words) words.textContent = words.dataset.words.replace("{count}", String(count));
  const all = document.getElementById("choose-all");
  if (all) {
    all.checked = count > 0 && count === boxes.length;
    all.indeterminate = count > 0 && count < boxes.length;
  }
}

// The arrow keys go from name to name, as in every list of files.
function onKey(event) {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  const row = event.target.closest?.("#selection tbody tr");
  if (!step || !row || event.altKey || event.ctrlKey || event.metaKey) return;
  const next = step > 0 ? row.nextElementSibling : row.previousElementSibling;
  const box = next?.querySelector("[name=item]");
  const target = event.target.matches("[name=item]") ? box : (next?.querySelector("th a") ?? box);
  if (!target) return;
  event.preventDefault();
  target.focus();
}

async function prepare() {
  const section = explorer();
  section.tabIndex = -1;
  dressTimes("short", section);
  const all = document.getElementById("choose-all");
  if (all) {
    all.hidden = false;
    all.addEventListener("change", () => {
      for (const box of section.querySelectorAll("[name=item]")) box.checked = all.checked;
      countChosen();
    });
  }
  document.getElementById("selection")?.addEventListener("change", countChosen);
  countChosen();
  await watchDrops(section);
}

if (explorer()) {
  document.addEventListener("click", onClick);
  document.addEventListener("submit", onSubmit);
  document.addEventListener("keydown", onKey);
  window.addEventListener("popstate", () => show(window.location.href, { push: false }));
  document.addEventListener("uploaded", (event) => {
    if (event.detail.folder === explorer()?.dataset.folder && !document.querySelector("dialog[open]")) refresh();
  });
  if (document.querySelector("#explorer-done:not([hidden])")) window.history.replaceState({}, "", explorer().dataset.here);
  prepare().finally(() => {
    document.documentElement.dataset.explorer = "ready";
  });
}
