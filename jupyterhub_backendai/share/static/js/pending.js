// The start of one session: stages from the hub's event stream, a cancel button, and a way back after the hub restarted.
import { callHub } from "./hub.js";
import { notify } from "./notify.js";
import { hideWishes, showGiveUp, words } from "./wishes.js";

const RETRY_MS = 3000;
const list = document.getElementById("stages");
const { progress, api, home, xsrf, title: name } = list.dataset;
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

// What there is to say of a stage, a line each.
function describe(event) {
  const parts = [];
  const reason = [event.position && message.dataset.position.replace("{n}", event.position), event.reason].filter(Boolean).join(" ");
  if (reason) parts.push(reason);
  if (event.expected) parts.push(describeExpected(event.expected));
  else if (event.start_at) parts.push(message.dataset.expected.replace("{n}", showMoment(event.start_at)));
  if (event.since) parts.push(message.dataset.since.replace("{n}", showMoment(event.since)));
  return parts.map((text) => {
    const line = document.createElement("span");
    line.className = "d-block";
    line.textContent = text;
    return line;
  });
}

// A moment as people say it: the time alone if it is today.
function showMoment(seconds) {
  const when = new Date(seconds * 1000);
  const isToday = when.toDateString() === new Date().toDateString();
  return when.toLocaleString(language, isToday ? { timeStyle: "short" } : { dateStyle: "medium", timeStyle: "short" });
}

function describeExpected(expected) {
  const { between, after, expected: about, fromPast, fromBoth, fromScheduler } = message.dataset;
  const isPoint = expected.high_at !== null && expected.high_at - expected.low_at < 60;
  const range = isPoint ? about.replace("{n}", "{at}") : expected.high_at === null ? after : between;
  const moments = { at: expected.at, low: expected.low_at, high: expected.high_at };
  const text = range.replace(/\{(at|low|high)\}/g, (_, word) => showMoment(moments[word]));
  const from = !expected.past ? fromScheduler : expected.by_scheduler ? fromBoth : fromPast;
  return `${text} ${from.replace("{n}", expected.past)}`;
}

function showStage(event) {
  const now = stages.findIndex((stage) => stage.dataset.stage === event.stage);
  if (now < 0) return;
  stages.forEach((stage, index) => {
    stage.className = index < now ? "done" : index === now ? "now" : "";
    if (index === now) stage.setAttribute("aria-current", "step");
    else stage.removeAttribute("aria-current");
    const detail = stage.querySelector(".detail");
    const lines = index === now ? describe(event) : [];
    if (detail.textContent !== lines.map((line) => line.textContent).join("")) detail.replaceChildren(...lines);
  });
  hideWishes(event.stage !== "submitting" && event.stage !== "waiting");
}

// Go on to the session: at once if somebody looks, else when they come back.
function goOn() {
  if (!notify(words.ready.replace("{n}", name), words.open, api) || !document.hidden) return window.location.reload();
  document.title = `● ${words.ready.replace("{n}", name)}`;
  say(words.ready.replace("{n}", name));
  hideWishes(true);
  document.addEventListener("visibilitychange", () => document.hidden || window.location.reload());
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
  hideWishes(true);
  notify(words.failed.replace("{n}", name), text.textContent.trim().slice(0, 200), api);
  say("");
}

function onEvent(data) {
  if (isCancelling) return; // for a second the hub calls a start that was interrupted ready
  const event = JSON.parse(data);
  if (event.progress !== undefined) setProgress(event.progress);
  if (event.ready) {
    isOver = true;
    source.close();
    goOn();
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
  else if (server.ready) goOn();
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

showGiveUp(showMoment);
document.getElementById("wishes-form")?.addEventListener("kept", () => showGiveUp(showMoment));
cancel.hidden = false; // without scripts it could do nothing
follow();
document.documentElement.dataset.ready = "pending";
