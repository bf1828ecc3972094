// My folders: moments in the reader's own zone, filters that apply when they are chosen, and acts in dialogs.
import { watchDialogs } from "./data_dialog.js";
import { watchName } from "./data_name.js";
import { dressTimes } from "./times.js";

const TASK_MS = 2000;

function dress(root) {
  dressTimes("short", root);
  for (const time of root.querySelectorAll("time[data-day]")) {
    time.textContent = new Date(time.dateTime).toLocaleDateString(document.documentElement.lang, { dateStyle: "medium" });
  }
  watchName(root);
}

dress(document);
watchDialogs();
document.addEventListener("filled", (event) => dress(event.detail));
for (const field of document.querySelectorAll("#filters select")) field.addEventListener("change", () => field.form.requestSubmit());
// On a phone the folders come first.
const usage = document.getElementById("usage");
if (usage && window.matchMedia("(max-width: 767.98px)").matches) usage.open = false;
// Long work goes on without being asked for; a reader who does something is not disturbed.
if (document.querySelector("[data-live]")) {
  setInterval(() => {
    const isBusy = document.querySelector("dialog[open], #upload-tray:not([hidden])") || document.activeElement?.closest("form");
    if (!document.hidden && !isBusy) window.location.reload();
  }, TASK_MS);
}
document.documentElement.dataset.ready = "data";
