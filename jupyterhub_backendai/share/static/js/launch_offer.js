// What the queue offers and what it costs: read anew, a moment after something in the form has changed. The server reckons.
const QUIET_MS = 250;
const byId = (id) => document.getElementById(id);
// What another choice of these makes different is more than the price.
const SWITCHES = ["queue", "project", "account", "cluster", "gpu_type"];
const NOTHING = ["name", "command", "interface", "starts_at", "depends_on", "patience", "mail"];
const isNothing = (name) => NOTHING.includes(name) || name.startsWith("folder");

export function showGPUs() {
  const [gpu, shares] = [byId("gpu").value, byId("shares").value];
  const line = byId("sum-gpu");
  const isShared = Number(shares) > 0 && !Number(gpu);
  const amount = isShared ? line.dataset.shares.replace("{n}", shares) : gpu;
  line.textContent = `${amount} ${isShared || Number(gpu) ? byId("gpu_type").value : ""}`.trim();
}

function offerShares(fresh) {
  const input = byId("shares");
  const { step, most } = fresh.dataset;
  // what was typed for another queue stays in sight: it would be refused, not forgotten
  byId("shares-box").hidden = !step && !Number(input.value);
  input.step = step || "any";
  if (most) input.max = most;
  else input.removeAttribute("max");
  replace("shares-help", fresh);
}

// Only what is new is drawn, so that only what is new is read out; the focus stays where it is.
function replace(id, fresh) {
  const old = byId(id);
  if (old.innerHTML === fresh.innerHTML) return;
  const focused = old.contains(document.activeElement) ? document.activeElement.id : "";
  const isOpen = Boolean(old.querySelector("details[open]"));
  old.replaceChildren(...fresh.childNodes);
  if (isOpen) old.querySelector("details")?.setAttribute("open", "");
  if (focused) byId(focused)?.focus({ preventScroll: true });
}

function hasChosen() {
  return [...byId("choices").querySelectorAll("select")].some((select) => select.value);
}

export function followOffer(form) {
  const box = byId("quote-box");
  let timer = 0;
  let asked = 0;
  let isSwitched = false;

  async function read() {
    const url = new URL(box.dataset.url, window.location.href);
    for (const [name, value] of new FormData(form)) if (!["_xsrf", "command", "id"].includes(name) && !name.startsWith("folder")) url.searchParams.set(name, value);
    if (isSwitched) url.searchParams.set("switched", "1");
    const number = ++asked;
    box.setAttribute("aria-busy", "true");
    try {
      const headers = { Accept: "text/html", "X-XSRFToken": form.elements._xsrf.value };
      const response = await fetch(url, { headers, redirect: "error", cache: "no-store" });
      if (!response.ok || number !== asked) return;
      const page = new DOMParser().parseFromString(await response.text(), "text/html");
      if (number !== asked || !page.getElementById("quote")) return;
      replace("quote", page.getElementById("quote"));
      offerShares(page.getElementById("shares-help"));
      // what somebody chose is taken away only with the queue; what the cluster told late is added
      if (isSwitched || !hasChosen()) replace("choices", page.getElementById("choices"));
      replace("kinds", page.getElementById("kinds"));
      isSwitched = false;
    } catch {
      // what stands there was true a moment ago; the server decides
    } finally {
      if (number === asked) box.removeAttribute("aria-busy");
    }
  }

  // also for all that another queue would change, when the cluster tells more of this one
  function later(isMore = false) {
    isSwitched ||= isMore && !hasChosen();
    clearTimeout(timer);
    timer = setTimeout(read, QUIET_MS);
  }
  form.addEventListener("input", (event) => {
    if (!isNothing(event.target.name)) later();
  });
  form.addEventListener("change", (event) => {
    isSwitched ||= SWITCHES.includes(event.target.name);
    if (!isNothing(event.target.name)) later();
  });
  return later;
}
