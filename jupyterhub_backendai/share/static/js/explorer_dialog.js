// The form of an act, as the page of its own shows it, in a dialog.

const OPTIONS = { redirect: "error", cache: "no-store", method: "POST" };

async function post(form, submitter) {
  const body = new URLSearchParams(new FormData(form, submitter?.name ? submitter : undefined));
  const url = submitter?.getAttribute("formaction") ?? form.getAttribute("action");
  return fetch(url, { ...OPTIONS, body, headers: { "X-Part": "yes", Accept: "text/html" } });
}

function fill(dialog, page) {
  const form = page.getElementById("act");
  if (form) {
    dialog.replaceChildren(document.adoptNode(form));
    (form.querySelector("[autofocus], .btn-primary, [data-close]") ?? form).focus();
    const name = form.querySelector("#act-name");
    if (name?.value) name.setSelectionRange(0, name.value.lastIndexOf(".") > 0 ? name.value.lastIndexOf(".") : name.value.length);
    return;
  }
  // Refused as a whole: the page of the error says why.
  const words = page.querySelector("main .lead") ?? page.querySelector("main h1");
  const close = Object.assign(document.createElement("button"), { type: "button", className: "btn btn-outline-contrast" });
  close.textContent = dialog.dataset.closeWords;
  close.dataset.close = "";
  const text = Object.assign(document.createElement("p"), { id: "act-title", textContent: words?.textContent.trim() });
  text.setAttribute("role", "alert");
  dialog.replaceChildren(text, close);
  close.focus();
}

async function send(dialog, form, submitter, onDone) {
  const buttons = [...form.querySelectorAll("button")];
  const pending = post(form, submitter); // before the buttons are disabled: the pressed one says what is wanted
  if (dialog.contains(form)) for (const button of buttons) button.disabled = true;
  try {
    const response = await pending;
    const next = response.headers.get("X-Location");
    if (next) {
      dialog.close();
      onDone(next);
      return;
    }
    fill(dialog, new DOMParser().parseFromString(await response.text(), "text/html"));
    if (!dialog.open) dialog.showModal();
  } catch {
    for (const button of buttons) button.disabled = false;
    form.setAttribute("action", submitter?.getAttribute("formaction") ?? form.getAttribute("action"));
    form.submit(); // as without scripts
  }
}

// Ask what the pressed button of a form asks; ``onDone`` gets the address where it goes on when all was done.
export async function openAct(form, submitter, onDone) {
  const dialog = document.createElement("dialog");
  dialog.className = "bai-explorer-dialog";
  dialog.dataset.closeWords = document.getElementById("explorer").dataset.closeWords;
  dialog.setAttribute("aria-labelledby", "act-title");
  document.body.append(dialog);
  dialog.addEventListener("close", () => {
    dialog.remove();
    if (submitter?.isConnected) submitter.focus();
  });
  dialog.addEventListener("click", (event) => {
    if (!event.target.closest("[data-close]")) return;
    event.preventDefault();
    dialog.close();
  });
  dialog.addEventListener("submit", (event) => {
    event.preventDefault();
    send(dialog, event.target, event.submitter, onDone);
  });
  await send(dialog, form, submitter, onDone);
}
