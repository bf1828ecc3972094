// The launch page: figures that refresh themselves, hints and a summary that follow what is chosen.
import { followFolders } from "./launch_folders.js";
import { followOffer, showGPUs } from "./launch_offer.js";
import { fetchTable, mergeTable } from "./table.js";

const REFRESH_MS = 15000;
const form = document.getElementById("launch");
const table = document.getElementById("queues");
const box = document.getElementById("table");
const status = document.getElementById("table-status");
const trouble = document.getElementById("table-trouble");
const age = document.getElementById("age");
const ageTime = document.getElementById("age-time");
const byId = (id) => document.getElementById(id);
let reading = null;

function showAge() {
  const readAt = Number(table.dataset.readAt);
  if (!readAt) {
    ageTime.textContent = age.dataset.none;
    return;
  }
  const seconds = Math.max(0, Math.round(Date.now() / 1000 - readAt));
  ageTime.dateTime = new Date(readAt * 1000).toISOString();
  ageTime.title = new Date(readAt * 1000).toLocaleString(document.documentElement.lang);
  if (seconds < 5) ageTime.textContent = age.dataset.now;
  else if (seconds < 120) ageTime.textContent = age.dataset.seconds.replace("{n}", seconds);
  else ageTime.textContent = age.dataset.minutes.replace("{n}", Math.round(seconds / 60));
}

// Whether nobody has read yet what the chosen queue has.
function isUnknown() {
  return form.querySelector("input[name=queue]:checked")?.closest("tr").dataset.idle === "";
}

async function read(isAsked) {
  if (reading) return reading;
  box.setAttribute("aria-busy", "true");
  const url = new URL(form.dataset.table, window.location.href);
  if (isAsked) url.searchParams.set("now", "1");
  const wasUnknown = isUnknown();
  reading = fetchTable(url, form.elements._xsrf.value)
    .then((fresh) => {
      mergeTable(table, fresh);
      if (wasUnknown && !isUnknown()) readOffer(true); // a cluster that answers for the first time
      trouble.hidden = !table.querySelector(".bai-stale");
      if (isAsked) status.textContent = status.dataset.done;
    })
    .catch(() => {
      for (const row of table.querySelectorAll("tr[data-queue]")) row.classList.add("bai-stale");
      trouble.hidden = false;
      if (isAsked) status.textContent = status.dataset.failed;
    })
    .finally(() => {
      reading = null;
      box.removeAttribute("aria-busy");
      showAge();
      showChoice();
    });
  return reading;
}

function setHint(name, most) {
  const help = byId(`${name}-help`);
  if (!help) return;
  const hint = most ? help.dataset.hint.replace("{n}", most) : "";
  help.textContent = [help.dataset.text, hint].filter(Boolean).join(" ");
}

// Of a type, the most that one node has, which a site may limit further.
function mostGPUs(row) {
  const type = byId("gpu_type").value;
  const perNode = row.gpuPerNode.split(" ").find((pair) => type && pair.startsWith(`${type}:`));
  if (!perNode) return row.gpu;
  const most = Number(perNode.slice(type.length + 1));
  return String(row.gpu ? Math.min(most, Number(row.gpu)) : most);
}

function offerTypes(types) {
  const select = byId("gpu_type");
  for (const option of select.options) {
    const isThere = !option.value || types.includes(option.value);
    option.hidden = option.disabled = !isThere;
    if (!isThere && option.selected) select.value = "";
  }
}

function showStart(row) {
  const start = byId("sum-start");
  if (!row.open) start.textContent = start.dataset.closed;
  else if (row.idle === "") start.textContent = "–";
  else if (Number(row.idle) > 0) start.textContent = start.dataset.now;
  else start.textContent = row.engine === "local" ? start.dataset.full : start.dataset.wait;
}

function textOf(select) {
  return select.options ? (select.selectedOptions[0]?.textContent ?? "") : select.value;
}

function showChoice() {
  const chosen = form.querySelector("input[name=queue]:checked");
  const row = chosen?.closest("tr")?.dataset;
  const missing = byId("sum-missing");
  missing.textContent = row ? "" : missing.dataset.queue;
  if (row) {
    for (const name of ["cpu", "mem", "time"]) setHint(name, row[name]);
    offerTypes(row.gpuTypes.split(" "));
    setHint("gpu", mostGPUs(row));
    byId("time").placeholder = row.defaultClock;
    byId("sum-queue").textContent = row.label;
    byId("sum-local").hidden = row.engine !== "local";
    showStart(row);
  }
  showPreset();
  byId("sum-environment").textContent = textOf(byId("environment"));
  if (form.elements.session_type?.value === "batch") byId("sum-interface").textContent = byId("sum-interface").dataset.batch;
  else byId("sum-interface").textContent = form.elements.interface.value === "notebook" ? "Jupyter Notebook" : "JupyterLab";
  byId("sum-cpu").textContent = byId("cpu").value;
  byId("sum-mem").textContent = byId("mem").value;
  showGPUs();
  byId("sum-time").textContent = byId("time").value || row?.defaultTime || "–";
}

function sameMemory(one, other) {
  const plain = (text) => text.toLowerCase().replace(/\s|i?b$/g, "");
  return plain(one) === plain(other);
}

function showPreset() {
  const presets = [...document.querySelectorAll("#presets button[name=preset]")];
  let label = "";
  for (const button of presets) {
    const is = (name) => byId(name).value.trim() === button.dataset[name];
    const hasShares = Number(byId("shares").value) === Number(button.dataset.shares);
    const isChosen = !button.disabled && is("cpu") && is("gpu") && hasShares && sameMemory(byId("mem").value, button.dataset.mem);
    button.classList.toggle("chosen", isChosen);
    button.setAttribute("aria-pressed", String(isChosen));
    if (isChosen && !label) label = button.firstElementChild.textContent;
  }
  byId("sum-preset").textContent = label || byId("sum-preset").dataset.custom;
}

// Which presets there are, and which can be had, depends on queue, project and environment.
let asked = 0;
async function readPresets() {
  const box = byId("presets-box");
  const url = new URL(box.dataset.url, window.location.href);
  for (const [name, value] of new FormData(form)) if (!["_xsrf", "command", "id"].includes(name) && !name.startsWith("folder")) url.searchParams.set(name, value);
  const number = ++asked;
  try {
    const headers = { Accept: "text/html", "X-XSRFToken": form.elements._xsrf.value };
    const response = await fetch(url, { headers, redirect: "error", cache: "no-store" });
    if (!response.ok || number !== asked) return;
    const fresh = new DOMParser().parseFromString(await response.text(), "text/html").getElementById("presets");
    const focused = document.activeElement?.name === "preset" ? document.activeElement.value : "";
    if (fresh) byId("presets").replaceChildren(...fresh.children);
    if (focused) byId("presets").querySelector(`button[value="${CSS.escape(focused)}"]`)?.focus();
    showPreset();
  } catch {
    // what stands there was true a moment ago; the server decides
  }
}

byId("presets-box").addEventListener("click", (event) => {
  const button = event.target.closest("button[name=preset]");
  if (!button) return;
  event.preventDefault();
  for (const name of ["cpu", "mem", "gpu"]) byId(name).value = button.dataset[name];
  byId("shares").value = Number(button.dataset.shares) ? button.dataset.shares : "";
  showChoice();
  readOffer();
});
form.addEventListener("change", (event) => {
  if (["queue", "project", "environment"].includes(event.target.name)) readPresets();
});
byId("refresh").addEventListener("click", (event) => {
  event.preventDefault();
  status.textContent = "";
  read(true);
});
form.addEventListener("input", showChoice);
form.addEventListener("change", showChoice);
const readOffer = followOffer(form);
followFolders(form);
form.addEventListener("submit", (event) => {
  // what is no number at all is never sent by the browser: the session would start without a GPU
  if (byId("shares").validity.badInput) {
    event.preventDefault();
    byId("shares").reportValidity();
    return;
  }
  const button = byId("start");
  button.disabled = true;
  button.textContent = button.dataset.busy;
});
// Coming back by the browser's own "back" must not show a dead button.
window.addEventListener("pageshow", (event) => {
  if (event.persisted) window.location.reload();
});
setInterval(showAge, 1000);
setInterval(() => {
  if (!document.hidden) read(false);
}, REFRESH_MS);
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) read(false);
});
byId("errors")?.focus();
showAge();
showChoice();
document.documentElement.dataset.ready = "launch";
