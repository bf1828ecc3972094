// One session: moments in the reader's own zone, its log followed while it lives, and a look again at all else.
import { offerNotifications, watchEnds } from "./endings.js";
import { dressTimes } from "./times.js";

const REFRESH_MS = 5000;
const LOG_MS = 2000;
const main = document.getElementById("main");
let follows = true;

function isBusy() {
  return document.hidden || !window.getSelection().isCollapsed || Boolean(document.activeElement?.closest("form"));
}

function scrollDown() {
  const log = document.getElementById("log");
  if (log && follows) log.scrollTop = log.scrollHeight;
}

function prepare() {
  dressTimes("medium", main);
  offerNotifications();
  const box = document.getElementById("follow-box");
  if (box) {
    box.hidden = false;
    const field = document.getElementById("follow");
    field.checked = follows;
    field.addEventListener("change", () => {
      follows = field.checked;
      scrollDown();
    });
  }
}

// The log alone, often; a reader who marks text in it is not disturbed.
async function readLog() {
  const log = document.getElementById("log");
  if (!follows || document.hidden || !window.getSelection().isCollapsed || log?.tagName !== "PRE") return;
  const response = await fetch(main.dataset.log, { headers: { "X-XSRFToken": main.dataset.xsrf }, redirect: "error", cache: "no-store" });
  if (!response.ok) return;
  const text = await response.text();
  if (log.textContent !== text) {
    log.textContent = text;
    scrollDown();
  }
}

async function look() {
  if (isBusy()) return;
  const headers = { Accept: "text/html", "X-XSRFToken": main.dataset.xsrf };
  const response = await fetch(window.location.href, { headers, redirect: "error", cache: "no-store" });
  if (!response.ok) return;
  const fresh = new DOMParser().parseFromString(await response.text(), "text/html").getElementById("main");
  const top = document.getElementById("log")?.scrollTop ?? 0;
  const focused = document.activeElement?.id;
  main.replaceChildren(...fresh.childNodes);
  main.dataset.live = fresh.dataset.live;
  prepare();
  const shown = document.getElementById("log");
  if (shown) shown.scrollTop = top;
  scrollDown();
  if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
  if (main.dataset.live !== "yes") timers.forEach(clearInterval);
}

// What was refused stays until it was read: that page is not drawn anew.
const isRefusal = Boolean(document.getElementById("refusal"));
const timers = [];
if (main.dataset.live === "yes") {
  if (!isRefusal) timers.push(setInterval(() => look().catch(() => {}), REFRESH_MS));
  timers.push(setInterval(() => readLog().catch(() => {}), LOG_MS));
}
prepare();
scrollDown();
watchEnds();
document.getElementById("refusal")?.focus();
document.documentElement.dataset.ready = "session";
