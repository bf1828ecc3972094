// My folders: moments in the reader's own zone, filters that apply when they are chosen, and acts in dialogs.
import { watchDialogs } from "./data_dialog.js";
import { dressTimes } from "./times.js";

dressTimes();
watchDialogs();
for (const field of document.querySelectorAll("#filters select")) field.addEventListener("change", () => field.form.requestSubmit());
document.documentElement.dataset.ready = "data";
