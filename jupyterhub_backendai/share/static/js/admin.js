// The pages of administration and account work without this; it tells times in the reader's zone, and leads to what is wrong.
const language = document.documentElement.lang;

function tell(date, options) {
  return Number.isNaN(date.getTime()) ? "" : date.toLocaleString(language, options);
}

for (const time of document.querySelectorAll("#main time[datetime]")) {
  const date = new Date(time.dateTime);
  const text = tell(date, { dateStyle: "medium", timeStyle: "short" });
  if (!text) continue;
  time.title = tell(date, { dateStyle: "full", timeStyle: "long" });
  time.textContent = text;
}

// Inputs of moments are in UTC; what that is here stands beside them.
for (const input of document.querySelectorAll("#main input[type=datetime-local]")) {
  const output = document.createElement("output");
  output.className = "form-text d-block";
  output.htmlFor = input.id;
  input.after(output);
  const update = () => {
    output.textContent = input.value ? `= ${tell(new Date(`${input.value}Z`), { dateStyle: "medium", timeStyle: "long" })}` : "";
  };
  input.addEventListener("input", update);
  update();
}

const first = document.getElementById("errors") ?? document.getElementById("confirm");
if (first) first.focus();
document.documentElement.dataset.ready = "admin";
