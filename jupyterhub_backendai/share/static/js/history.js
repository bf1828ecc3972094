// All sessions: moments in the reader's own zone, warnings of ends, and filters that apply when they are chosen.
import { watchEnds } from "./endings.js";
import { dressTimes } from "./times.js";

dressTimes();
watchEnds();
for (const field of document.querySelectorAll("#filters select")) field.addEventListener("change", () => field.form.requestSubmit());
document.documentElement.dataset.ready = "history";
