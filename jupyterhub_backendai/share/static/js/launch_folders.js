// The folders of a session: what is typed for one chooses it, the list follows queue, project and search, and none at all is asked about.
const QUIET_MS = 250;
const SWITCHES = ["queue", "project"];
const byId = (id) => document.getElementById(id);
const boxes = () => [...byId("folders").querySelectorAll("input[type=checkbox]")];

function show() {
  const chosen = boxes().filter((box) => box.checked);
  const line = byId("sum-folders");
  line.textContent = chosen.map((box) => box.dataset.name).join(", ") || line.dataset.none;
  const warning = byId("folders-warning");
  warning.hidden = warning.dataset.lasting === "yes" || chosen.length > 0;
}

// Only what is new is drawn; the focus, and where a text is being typed, stay.
function replace(fresh) {
  const old = byId("folders");
  const focused = document.activeElement;
  const id = old.contains(focused) ? focused.id : "";
  const caret = id && focused.type === "search" ? focused.selectionStart : null;
  const opened = new Set([...old.querySelectorAll("li")].filter((row) => row.querySelector("details")?.open).map(keyOf));
  old.replaceChildren(...fresh.childNodes);
  for (const row of old.querySelectorAll("li")) if (opened.has(keyOf(row))) row.querySelector("details").open = true;
  if (!id) return;
  byId(id)?.focus({ preventScroll: true });
  if (caret !== null) byId(id)?.setSelectionRange(caret, caret);
}

function keyOf(row) {
  return row.querySelector("input[type=checkbox]")?.value ?? "";
}

export function followFolders(form) {
  const box = byId("folders-box");
  let timer = 0;
  let asked = 0;
  let isConfirmed = false;

  async function read() {
    const url = new URL(box.dataset.url, window.location.href);
    const chosen = new Set(boxes().filter((item) => item.checked).map((item) => item.name));
    for (const [name, value] of new FormData(form)) {
      const row = name.split(".", 2).join(".");
      if ((name.startsWith("folder.") && chosen.has(row)) || ["folders", "folder_search", ...SWITCHES].includes(name)) url.searchParams.append(name, value);
    }
    const number = ++asked;
    try {
      const headers = { Accept: "text/html", "X-XSRFToken": form.elements._xsrf.value };
      const response = await fetch(url, { headers, redirect: "error", cache: "no-store" });
      if (!response.ok || number !== asked) return;
      const fresh = new DOMParser().parseFromString(await response.text(), "text/html").getElementById("folders");
      if (!fresh || number !== asked) return;
      replace(fresh);
      show();
    } catch {
      // what stands there was true a moment ago; the server decides
    }
  }

  function later() {
    clearTimeout(timer);
    timer = setTimeout(read, QUIET_MS);
  }

  box.addEventListener("input", (event) => {
    const { name, type } = event.target;
    if (name === "folder_search") later();
    else if (type !== "checkbox") byId(`folder-${name.split(".")[1]}`).checked = true;
    if (name !== "folder_search") asked++; // an answer on its way knows nothing of this choice
    show();
  });
  box.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.target.name !== "folder_search") return;
    event.preventDefault();
    read();
  });
  box.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    if (button.formMethod === "get") {
      event.preventDefault();
      read();
    } else if (button.closest("dialog")) {
      byId("folders-dialog").close();
      isConfirmed = button.value === "start";
      if (isConfirmed) form.requestSubmit(byId("start"));
      else (boxes()[0] ?? byId("mounts").querySelector("a"))?.focus();
    }
  });
  form.addEventListener("change", (event) => {
    if (SWITCHES.includes(event.target.name)) later();
  });
  // before the button is dead: the question may be answered with no
  form.addEventListener(
    "submit",
    (event) => {
      const dialog = byId("folders-dialog");
      if (!dialog || byId("folders-warning").hidden || isConfirmed || event.submitter?.id !== "start") return;
      event.preventDefault();
      event.stopImmediatePropagation();
      dialog.showModal();
    },
    { capture: true },
  );
  show();
}
