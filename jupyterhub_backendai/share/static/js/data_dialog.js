// A link to a page with one form opens that form in a dialog. Without this the page itself is shown, and does the same.

const OPTIONS = { redirect: "error", cache: "no-store", credentials: "same-origin" };

async function readPart(response) {
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  const part = page.getElementById("form");
  if (!part) throw new Error("no form");
  return part;
}

function token() {
  return document.getElementById("main").dataset.xsrf;
}

async function fetchPart(url) {
  const response = await fetch(url, { ...OPTIONS, headers: { "X-XSRFToken": token(), Accept: "text/html" } });
  return readPart(response);
}

function fill(dialog, part) {
  dialog.replaceChildren(part);
  const title = part.querySelector("h1");
  if (title) {
    title.id ||= "dialog-title";
    dialog.setAttribute("aria-labelledby", title.id);
  }
  for (const cancel of part.querySelectorAll("[data-cancel]")) {
    cancel.addEventListener("click", (event) => {
      event.preventDefault();
      dialog.close();
    });
  }
  for (const form of part.querySelectorAll("form")) form.addEventListener("submit", (event) => send(dialog, event));
  dialog.dispatchEvent(new CustomEvent("filled", { bubbles: true, detail: part }));
  const first = ["[role=alert], [role=status][tabindex]", "[autofocus]", "input:not([type=hidden]), select, textarea, button"];
  first.map((selector) => part.querySelector(selector)).find(Boolean)?.focus();
}

// As without scripts: the answer is a page, whatever it says.
function submitPlainly(form, button) {
  if (button?.name) {
    const field = Object.assign(document.createElement("input"), { type: "hidden", name: button.name, value: button.value });
    form.append(field);
  }
  form.submit();
}

// The act's own answer says where to go on; a refusal comes as the form again, with what was typed and what is wrong.
async function send(dialog, event) {
  const form = event.target;
  event.preventDefault();
  const buttons = [...form.querySelectorAll("button")];
  const body = new URLSearchParams(new FormData(form, event.submitter ?? undefined));
  for (const button of buttons) button.disabled = true;
  try {
    const response = await fetch(form.action, { ...OPTIONS, method: "POST", body, headers: { "X-Dialog": "1", Accept: "text/html" } });
    const next = response.headers.get("X-Next");
    if (next && new URL(next, window.location.href).pathname === dialog.dataset.path) {
      dialog.dataset.changed = "yes"; // one of several things that are done here; the page behind shows them afterwards
      fill(dialog, await fetchPart(next));
    } else if (next) {
      window.location.assign(next);
    } else {
      if (response.ok) dialog.dataset.changed = "yes";
      fill(dialog, await readPart(response));
    }
  } catch {
    submitPlainly(form, event.submitter);
  } finally {
    for (const button of buttons) button.disabled = false;
  }
}

async function open(link) {
  const dialog = document.createElement("dialog");
  dialog.className = "bai-dialog";
  dialog.dataset.path = new URL(link.href).pathname;
  try {
    const part = await fetchPart(link.href);
    document.body.append(dialog);
    dialog.addEventListener("close", () => {
      dialog.remove();
      if (dialog.dataset.changed) window.location.reload();
      else link.focus();
    });
    dialog.addEventListener("click", (event) => {
      if (event.target === dialog) dialog.close();
    });
    dialog.showModal();
    fill(dialog, part);
  } catch {
    window.location.assign(link.href);
  }
}

export function watchDialogs() {
  document.addEventListener("click", (event) => {
    const link = event.target.closest?.("a[data-dialog]");
    if (!link || event.defaultPrevented || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    open(link);
  });
}
