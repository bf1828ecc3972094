// What the queue offers and what it costs: read anew, a moment after something in the form has changed. The server reckons.
const QUIET_MS = 250;
const byId = (id) => document.getElementById(id);

export function offerShares(row) {
  const input = byId("shares");
  const help = byId("shares-help");
  const isThere = Boolean(row.shareStep);
  // what was typed for another queue stays in sight: it would be refused, not forgotten
  byId("shares-box").hidden = !isThere && !Number(input.value);
  input.step = isThere ? row.shareStep : "any";
  if (isThere) input.max = row.shareMost;
  else input.removeAttribute("max");
  help.textContent = isThere ? row.shareWords : help.dataset.none;
}

export function showGPUs() {
  const [gpu, shares] = [byId("gpu").value, byId("shares").value];
  const line = byId("sum-gpu");
  const isShared = Number(shares) > 0 && !Number(gpu);
  const amount = isShared ? line.dataset.shares.replace("{n}", shares) : gpu;
  line.textContent = `${amount} ${isShared || Number(gpu) ? byId("gpu_type").value : ""}`.trim();
}

function replaceChoices(fresh) {
  const old = byId("choices");
  const focused = old.contains(document.activeElement) ? document.activeElement.id : "";
  old.replaceChildren(...fresh.children);
  if (focused) byId(focused)?.focus({ preventScroll: true });
}

export function followOffer(form) {
  const box = byId("quote-box");
  let timer = 0;
  let asked = 0;

  async function read() {
    const url = new URL(box.dataset.url, window.location.href);
    for (const [name, value] of new FormData(form)) if (!["_xsrf", "command", "id"].includes(name)) url.searchParams.set(name, value);
    const number = ++asked;
    box.setAttribute("aria-busy", "true");
    try {
      const headers = { Accept: "text/html", "X-XSRFToken": form.elements._xsrf.value };
      const response = await fetch(url, { headers, redirect: "error", cache: "no-store" });
      if (!response.ok || number !== asked) return;
      const page = new DOMParser().parseFromString(await response.text(), "text/html");
      const quote = page.getElementById("quote");
      if (number !== asked || !quote) return;
      // only what is new is announced
      if (byId("quote").innerHTML !== quote.innerHTML) byId("quote").replaceChildren(...quote.childNodes);
      const choices = page.getElementById("choices");
      if (byId("choices").dataset.key !== choices.dataset.key) {
        byId("choices").dataset.key = choices.dataset.key;
        replaceChoices(choices);
      }
    } catch {
      // what stands there was true a moment ago; the server decides
    } finally {
      if (number === asked) box.removeAttribute("aria-busy");
    }
  }

  function later() {
    clearTimeout(timer);
    timer = setTimeout(read, QUIET_MS);
  }
  const isOfOffer = (target) => !["name", "command", "interface", "starts_at", "depends_on"].includes(target.name);
  form.addEventListener("input", (event) => {
    if (isOfOffer(event.target)) later();
  });
  form.addEventListener("change", (event) => {
    if (isOfOffer(event.target)) later();
  });
  return later;
}
