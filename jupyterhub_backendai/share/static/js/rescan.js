// How far the registries are: drawn anew in place, and the words when it is over. Without this there is the page's button.
import { fetchTable } from "./table.js";

const REFRESH_MS = 1000;
const box = document.getElementById("scans");
const status = document.getElementById("scans-status");

async function read() {
  try {
    const table = await fetchTable(box.dataset.url, "");
    box.querySelector("tbody").replaceChildren(...table.tBodies[0].children);
    if (!box.querySelector("progress")) {
      status.textContent = status.dataset.done;
      return;
    }
  } catch {
    // the service may be starting again: the next try shows
  }
  setTimeout(read, REFRESH_MS);
}

if (box && box.dataset.running === "1") setTimeout(read, REFRESH_MS);
