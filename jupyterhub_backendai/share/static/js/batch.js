// A batch session: moments in the reader's own zone, the end of the log in sight, and a look again while it lives.
const REFRESH_MS = 5000;
const main = document.getElementById("main");

function dress() {
  for (const time of document.querySelectorAll("time[datetime]")) {
    const date = new Date(time.dateTime);
    if (Number.isNaN(date.getTime())) continue;
    time.title = date.toLocaleString(document.documentElement.lang);
    time.textContent = date.toLocaleString(document.documentElement.lang, { dateStyle: "medium", timeStyle: "medium" });
  }
}

async function look() {
  if (document.hidden || !window.getSelection().isCollapsed || document.activeElement?.closest("form")) return;
  const response = await fetch(window.location.href, { headers: { Accept: "text/html" }, redirect: "error", cache: "no-store" });
  if (!response.ok) return;
  const fresh = new DOMParser().parseFromString(await response.text(), "text/html").getElementById("main");
  const log = document.getElementById("log");
  const isAtEnd = !log || log.scrollTop + log.clientHeight >= log.scrollHeight - 4;
  const top = log?.scrollTop ?? 0;
  const focused = document.activeElement?.id;
  main.replaceChildren(...fresh.childNodes);
  main.dataset.live = fresh.dataset.live;
  dress();
  const shown = document.getElementById("log");
  if (shown) shown.scrollTop = isAtEnd ? shown.scrollHeight : top;
  if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
  if (main.dataset.live !== "yes") clearInterval(timer);
}

const timer = main.dataset.live === "yes" ? setInterval(() => look().catch(() => {}), REFRESH_MS) : 0;
dress();
const log = document.getElementById("log");
if (log) log.scrollTop = log.scrollHeight;
document.documentElement.dataset.ready = "batch";
