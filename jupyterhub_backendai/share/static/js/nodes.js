// The nodes' table is drawn anew in place: a form that somebody fills in stays as it is.
import { fetchTable } from "./table.js";

const REFRESH_MS = 15000;
const box = document.getElementById("nodes-box");
const status = document.getElementById("nodes-status");
let isReading = false;

function merge(fresh) {
  const table = box.querySelector("table");
  const rows = new Map([...table.querySelectorAll("tr[data-node]")].map((row) => [row.dataset.node, row]));
  const wanted = [...fresh.querySelectorAll("tr[data-node]")];
  const isBusy = table.querySelector("details[open]") || table.contains(document.activeElement);
  if (wanted.length !== rows.size || !wanted.every((row) => rows.has(row.dataset.node))) {
    if (!isBusy) table.tBodies[0].replaceChildren(...fresh.tBodies[0].children);
    return;
  }
  for (const row of wanted) {
    for (const cell of row.querySelectorAll("[data-cell]")) {
      const old = rows.get(row.dataset.node).querySelector(`[data-cell="${cell.dataset.cell}"]`);
      const isInUse = old.querySelector("details[open]") || old.contains(document.activeElement);
      if (old.innerHTML !== cell.innerHTML && !isInUse) old.replaceChildren(...cell.childNodes);
    }
  }
}

async function read(isAsked) {
  if (isReading) return;
  isReading = true;
  box.setAttribute("aria-busy", "true");
  const url = new URL(box.dataset.url, window.location.href);
  if (isAsked) url.searchParams.set("now", "1");
  try {
    merge(await fetchTable(url, box.dataset.token));
    if (isAsked) status.textContent = status.dataset.done;
  } catch {
    status.textContent = status.dataset.failed;
  }
  box.removeAttribute("aria-busy");
  isReading = false;
}

document.getElementById("refresh").addEventListener("click", (event) => {
  event.preventDefault();
  status.textContent = "";
  read(true);
});
setInterval(() => {
  if (!document.hidden) read(false);
}, REFRESH_MS);
