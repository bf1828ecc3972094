// One file: moments in the reader's own zone, and nothing typed is lost by a slip.
import { dressTimes } from "./times.js";

dressTimes();
const form = document.getElementById("editor");
const field = document.getElementById("content");
if (form && field) {
  const first = document.getElementById("conflict") ? null : field.value;
  let saving = false;
  const isChanged = () => !saving && field.value !== first;
  window.addEventListener("beforeunload", (event) => {
    if (isChanged()) event.preventDefault();
  });
  form.addEventListener("submit", () => {
    saving = true;
  });
  for (const link of document.querySelectorAll("#keep-theirs, #editor a")) link.addEventListener("click", () => (saving = true));
  document.addEventListener("keydown", (event) => {
    if (!(event.ctrlKey || event.metaKey) || event.key !== "s") return;
    event.preventDefault();
    form.requestSubmit(document.getElementById("save"));
  });
}
document.getElementById("conflict")?.focus();
document.documentElement.dataset.explorer = "ready";
