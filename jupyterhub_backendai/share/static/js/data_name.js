// The rule of a folder's name, told while it is typed. The server decides; this only tells earlier.

const NAME = /^\.?[A-Za-z0-9_][A-Za-z0-9._-]*$/;
const RESERVED = /^\.(terminfo|jupyter|tmux\.conf|ssh|[a-z0-9]+rc|[a-z0-9]+_profile)$/;

function findFault(field, mode) {
  const name = field.value.trim();
  if (!name) return "";
  const full = mode === "automount" && !name.startsWith(".") ? `.${name}` : name;
  if (!NAME.test(full)) return field.dataset.rule;
  if (mode && mode !== "automount" && full.startsWith(".")) return field.dataset.dot;
  return RESERVED.test(full) ? field.dataset.reserved : "";
}

function tell(field, help) {
  const mode = field.form.querySelector("input[name=usage_mode]:checked")?.value ?? "";
  const fault = findFault(field, mode);
  help.textContent = fault || help.dataset.help;
  help.classList.toggle("text-danger", Boolean(fault));
  field.classList.toggle("is-invalid", Boolean(fault));
  field.setAttribute("aria-invalid", String(Boolean(fault)));
}

// What is to be typed exactly, such as the name of what is deleted, opens its button.
function watchTyped(field) {
  const button = field.form.querySelector("button[type=submit]");
  const look = () => {
    button.disabled = field.value !== field.dataset.expected;
  };
  field.addEventListener("input", look);
  look();
}

export function watchName(root) {
  const field = root.querySelector("#f-name");
  if (!field) return;
  if (field.dataset.expected) {
    watchTyped(field);
    return;
  }
  const help = root.querySelector("#f-name-help");
  field.addEventListener("input", () => tell(field, help));
  for (const radio of field.form.querySelectorAll("input[name=usage_mode]")) radio.addEventListener("change", () => tell(field, help));
}
