// The start of one session: stages from the hub's event stream, a cancel button, and a way back after the hub restarted.
import { callHub } from "./hub.js";

const RETRY_MS = 3000;
const list = document.getElementById("stages");
const { progress, api, home, xsrf } = list.dataset;
const stages = [...list.querySelectorAll("li")];
const message = document.getElementById("message");
const cancel = document.getElementById("cancel");
const language = document.documentElement.lang;
let source = null;
let isCancelling = false;
let isOver = false;

function say(text) {
  if (message.textContent !== text) message.textContent = text;
}

function setProgress(percent) {
  const bar = document.getElementById("bar");
  bar.setAttribute("aria-valuenow", percent);
  document.getElementById("bar-fill").style.width = `${percent}%`;
}

function describe(event) {
  const parts = [];
  if (event.position) parts.push(message.dataset.position.replace("{n}", event.position));
  if (event.reason) parts.push(event.reason);
  if (event.start_at) {
    const when = new Date(event.start_at * 1000).toLocaleString(language, { dateStyle: "medium", timeStyle: "short" });
    parts.push(message.dataset.expected.replace("{n}", when));
  }
  return parts.join(" ");
}

function showStage(event) {
  const now = stages.findIndex((stage) => stage.dataset.stage === event.stage);
  if (now < 0) return;
  stages.forEach((stage, index) => {
    stage.className = index < now ? "done" : index === now ? "now" : "";
    if (index === now) stage.setAttribute("aria-current", "step");
    else stage.removeAttribute("aria-current");
    stage.querySelector(".detail").textContent = index === now ? describe(event) : "";
  });
}

function showFailure(event) {
  isOver = true;
  const stage = stages.find((item) => item.className === "now") ?? stages[0];
  stage.className = "failed";
  const text = document.getElementById("failure-text");
  // The hub's own word for HTML that is already escaped; with our policy no script in it would run.
  if (event.html_message) text.innerHTML = event.html_message;
  else text.textContent = (event.message ?? "").replace(/^Spawn failed: /, "");
  document.getElementById("failure").hidden = false;
  document.getElementById("again").hidden = false;
  cancel.hidden = true;
  const title = document.getElementById("title");
  title.textContent = title.dataset.failed;
  document.getElementById("may-close").hidden = true;
  document.getElementById("bar").hidden = true;
  say("");
}

function onEvent(data) {
  if (isCancelling) return; // for a second the hub calls a start that was interrupted ready
  const event = JSON.parse(data);
  if (event.progress !== undefined) setProgress(event.progress);
  if (event.ready) {
    isOver = true;
    source.close();
    window.location.reload();
  } else if (event.failed) {
    source.close();
    showFailure(event);
  } else {
    showStage(event);
    if (event.message) say(event.message);
  }
}

function follow() {
  source = new EventSource(progress);
  source.onmessage = (event) => onEvent(event.data);
  source.onerror = () => {
    // A closed stream is not opened again by the browser once the answer was not 200 (the hub restarts, the proxy says 503).
    source.close();
    if (!isOver && !isCancelling) setTimeout(look, RETRY_MS);
  };
}

async function look() {
  if (isOver || isCancelling) return;
  let server = null;
  try {
    const response = await callHub("GET", api, xsrf);
    if (response.status === 401 || response.status === 403 || response.status === 404) return window.location.reload();
    if (!response.ok) throw new Error(`status ${response.status}`);
    server = await response.json();
  } catch {
    say(message.dataset.lost);
    setTimeout(look, RETRY_MS);
    return;
  }
  if (server.pending === "spawn") follow();
  else window.location.reload();
}

cancel.addEventListener("click", async () => {
  isCancelling = true;
  cancel.disabled = true;
  say(message.dataset.cancelling);
  try {
    const response = await callHub("DELETE", api, xsrf);
    if (!response.ok && response.status !== 404) throw new Error(`status ${response.status}`);
    isOver = true;
    source?.close();
    say(message.dataset.cancelled);
    window.location.assign(home);
  } catch {
    isCancelling = false;
    cancel.disabled = false;
    say(message.dataset.notCancelled);
    if (source?.readyState === EventSource.CLOSED) look();
  }
});

cancel.hidden = false; // without scripts it could do nothing
follow();
document.documentElement.dataset.ready = "pending";
