// What somebody wants of a session that waits: a notification, a mail, and for how long to wait. The form works without this, too.
import { canNotify, isDenied, isOn, turnOff, turnOn } from "./notify.js";

const section = document.getElementById("wishes");
const form = document.getElementById("wishes-form");
const tell = document.getElementById("tell");
const state = document.getElementById("tell-state");
const kept = document.getElementById("kept");
export const words = state?.dataset ?? { ready: "{n}", failed: "{n}", open: "" };

export function hideWishes(isHidden) {
  if (section) section.hidden = isHidden;
}

export function showGiveUp(showMoment) {
  const giveUp = document.getElementById("give-up");
  if (giveUp?.dataset.at) giveUp.textContent = giveUp.dataset.giveUp.replace("{n}", showMoment(Number(giveUp.dataset.at)));
}

function showTold() {
  tell.setAttribute("aria-pressed", String(isOn()));
  tell.classList.toggle("active", isOn());
  state.textContent = isOn() ? words.on : isDenied() ? words.denied : "";
}

tell?.addEventListener("click", async () => {
  if (isOn()) turnOff();
  else await turnOn();
  showTold();
});

form?.addEventListener("submit", async (event) => {
  event.preventDefault();
  kept.textContent = "";
  try {
    const response = await fetch(form.action, { method: "POST", body: new URLSearchParams(new FormData(form)), credentials: "same-origin" });
    if (!response.ok) throw new Error(`status ${response.status}`);
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    const at = page.getElementById("give-up")?.dataset.at;
    const giveUp = document.getElementById("give-up");
    if (at !== undefined) giveUp.dataset.at = at;
    if (!giveUp.dataset.at) giveUp.textContent = "";
    kept.textContent = kept.dataset.kept;
    form.dispatchEvent(new CustomEvent("kept"));
  } catch {
    kept.textContent = kept.dataset.notKept;
  }
});

if (tell && canNotify) {
  document.getElementById("tell-row").hidden = false;
  showTold();
}
