// The tray of uploads, on every page of ours: how far they are, and what can be done with them.
import { keep, recall } from "./notify.js";
import * as queue from "./upload_queue.js";

const FOLDED = "backendai-tray-folded";
const SHOWN = 40;
const DRAW_MS = 250;
const WINDOW_MS = 8000;
const ORDER = ["conflict", "asking", "lost", "failed", "running", "offline", "paused", "waiting", "done"];
const tray = document.getElementById("upload-tray");
const words = tray ? JSON.parse(tray.dataset.words) : {};
const language = document.documentElement.lang;
const rows = new Map();
let samples = [];
let timer = null;
let isFolded = false;
let said = "";

function say(name, values = {}) {
  return Object.entries(values).reduce((text, [key, value]) => text.replaceAll(`{${key}}`, value), words[name] ?? "");
}

export function formatBytes(size) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  const power = size ? Math.min(Math.floor(Math.log2(size) / 10), units.length - 1) : 0;
  return `${(size / 1024 ** power).toLocaleString(language, { maximumFractionDigits: power ? 1 : 0 })} ${units[power]}`;
}

function formatSpan(seconds) {
  const unit = (value, name) => new Intl.NumberFormat(language, { style: "unit", unit: name, unitDisplay: "short" }).format(value);
  if (seconds < 60) return unit(Math.max(1, Math.round(seconds)), "second");
  if (seconds < 3600) return unit(Math.round(seconds / 60), "minute");
  return `${unit(Math.floor(seconds / 3600), "hour")} ${unit(Math.round((seconds % 3600) / 60), "minute")}`;
}

function count(state) {
  return [...queue.items.values()].filter((item) => item.state === state).length;
}

function make(tag, options = {}, ...children) {
  const element = Object.assign(document.createElement(tag), options);
  element.append(...children);
  return element;
}

function button(act, name, style = "outline-contrast") {
  const found = make("button", { type: "button", className: `btn btn-sm btn-${style}`, textContent: words[act] });
  found.dataset.act = act;
  if (name) found.setAttribute("aria-label", `${words[act]}: ${name}`);
  return found;
}

const ACTS = {
  running: ["pause", "cancel"],
  waiting: ["pause", "cancel"],
  offline: ["pause", "cancel"],
  paused: ["resume", "cancel"],
  failed: ["again", "cancel"],
  conflict: ["replace", "rename", "skip"],
  asking: ["cancel"],
  lost: ["cancel"],
  done: [],
};

function makeRow(item) {
  const row = make("li", { className: "bai-tray-item" });
  row.dataset.id = item.id;
  const bar = make("progress", { max: 1, value: 0 });
  bar.setAttribute("aria-label", item.path);
  const name = make("span", { className: "bai-tray-name", textContent: item.path, title: `${item.shown}/${item.path}`, dir: "auto" });
  row.append(name, make("span", { className: "bai-tray-state" }), bar, make("span", { className: "bai-tray-acts" }));
  rows.set(item.id, row);
  return row;
}

function stateWords(item) {
  if (item.state === "running") return `${formatBytes(item.sent)} / ${formatBytes(item.size)}`;
  if (item.state === "failed") return item.message === "changed" ? words.changed : say("failed", { reason: item.message });
  if (item.state === "conflict" && item.message) return item.message;
  return words[`is_${item.state}`] ?? "";
}

function drawRow(item) {
  const row = rows.get(item.id) ?? makeRow(item);
  const state = row.querySelector(".bai-tray-state");
  const text = stateWords(item);
  if (state.textContent !== text) state.textContent = text;
  row.querySelector("progress").value = item.size ? item.sent / item.size : item.state === "done" ? 1 : 0;
  if (row.dataset.state !== item.state) {
    const hadFocus = row.contains(document.activeElement);
    row.dataset.state = item.state;
    row.querySelector(".bai-tray-acts").replaceChildren(...ACTS[item.state].map((act) => button(act, item.path)));
    if (hadFocus) (row.querySelector("button") ?? tray.querySelector("#tray-fold")).focus();
  }
  return row;
}

function measure(sent) {
  const at = performance.now();
  samples = [...samples.filter((sample) => sample.at > at - WINDOW_MS), { at, sent }];
  const first = samples[0];
  return at - first.at > 500 ? Math.max(0, (sent - first.sent) / ((at - first.at) / 1000)) : 0;
}

function summary(all) {
  const size = all.reduce((sum, item) => sum + item.size, 0);
  const sent = all.reduce((sum, item) => sum + item.sent, 0);
  const done = count("done");
  const speed = measure(sent);
  tray.querySelector("#tray-bar").value = size ? sent / size : done / (all.length || 1);
  const parts = [say("files", { done, all: all.length }), `${formatBytes(sent)} / ${formatBytes(size)}`];
  if (count("running") && speed > 0) {
    parts.push(`${formatBytes(speed)}/s`);
    parts.push(say("left", { time: formatSpan((size - sent) / speed) }));
  }
  return parts.join(" · ");
}

// What is worth a word to who does not look: an end, and what waits for somebody.
function announce(all) {
  const open = all.filter((item) => !queue.isOver(item));
  const needs = ["conflict", "failed", "asking", "lost"].reduce((sum, state) => sum + count(state), 0);
  const text = needs ? say("needs_you", { count: needs }) : open.length || !all.length ? "" : say("all_done", { count: count("done") });
  if (text !== said) {
    said = text;
    tray.querySelector("#tray-said").textContent = text;
  }
}

function draw() {
  timer = null;
  const all = [...queue.items.values()].filter((item) => item.state !== "skipped");
  tray.hidden = !all.length;
  document.documentElement.classList.toggle("bai-has-tray", all.length > 0);
  tray.querySelector("#tray-summary").textContent = summary(all);
  const shown = all.sort((a, b) => ORDER.indexOf(a.state) - ORDER.indexOf(b.state)).slice(0, SHOWN);
  const list = tray.querySelector("#tray-items");
  const wanted = shown.map(drawRow);
  if (wanted.length !== list.children.length || wanted.some((row, number) => list.children[number] !== row)) {
    const focused = document.activeElement;
    list.replaceChildren(...wanted);
    if (focused && list.contains(focused)) focused.focus({ preventScroll: true });
  }
  tray.querySelector("#tray-more").textContent = all.length > shown.length ? say("more", { count: all.length - shown.length }) : "";
  const show = (id, isShown) => (tray.querySelector(id).hidden = !isShown);
  show("#tray-pause", count("running") + count("waiting") + count("offline") > 0);
  show("#tray-resume", count("paused") > 0);
  show("#tray-ask", count("asking") > 0);
  show("#tray-find", count("lost") > 0);
  show("#tray-conflicts", count("conflict") > 1);
  show("#tray-cancel", all.some((item) => !queue.isOver(item)));
  show("#tray-close", all.length > 0 && all.every(queue.isOver));
  announce(all);
  if (count("running")) timer = setTimeout(draw, 1000); // the speed falls though nothing comes
}

function redraw() {
  if (timer && !count("running")) return;
  clearTimeout(timer);
  timer = setTimeout(draw, DRAW_MS);
}

function each(state, act) {
  for (const item of [...queue.items.values()]) if (!state || item.state === state) act(item);
}

const ONE = { pause: queue.pause, resume: queue.resume, again: queue.resume, cancel: queue.cancel };
const ALL = {
  pause: () => each("", queue.pause),
  resume: () => each("paused", queue.resume),
  cancel: () => each("", (item) => queue.isOver(item) || queue.cancel(item)),
  close: queue.clearOver,
  ask: queue.askAgain,
  find: () => tray.querySelector("#tray-files").click(),
  fold: () => fold(),
  replace: () => each("conflict", (item) => queue.settle(item, "replace")),
  rename: () => each("conflict", (item) => queue.settle(item, "rename")),
  skip: () => each("conflict", (item) => queue.settle(item, "skip")),
};

function fold(isWanted = !isFolded) {
  isFolded = isWanted;
  keep("sessionStorage", FOLDED, isFolded ? "yes" : "no");
  tray.classList.toggle("folded", isFolded);
  tray.querySelector("#tray-fold").setAttribute("aria-expanded", String(!isFolded));
}

function onClick(event) {
  const pressed = event.target.closest("[data-act]");
  if (!pressed) return;
  const { act } = pressed.dataset;
  const item = queue.items.get(pressed.closest("[data-id]")?.dataset.id);
  if (!item) ALL[act]?.();
  else if (ONE[act]) ONE[act](item);
  else queue.settle(item, act);
}

// Empty directories, for which there is no upload.
async function makeDirectories(target, directories) {
  for (const path of directories) {
    const body = JSON.stringify({ path: target.directory ? `${target.directory}/${path}` : path, exist_ok: true });
    const headers = { "Content-Type": "application/json", "X-XSRFToken": tray.dataset.xsrf };
    await fetch(`${target.rest}/files/mkdir`, { method: "POST", headers, body, redirect: "error" }).catch(() => {});
  }
}

export async function addUploads(target, files, directories) {
  if (queue.items.size && [...queue.items.values()].every(queue.isOver)) queue.clearOver();
  if (!target.directoryRef) await makeDirectories(target, directories);
  await queue.add(target, files);
  if (!files.length) document.dispatchEvent(new CustomEvent("uploaded", { detail: { folder: target.folder } }));
}

// A directory that is looked at is looked at anew, but not for each of a thousand files.
function tellPages() {
  const waiting = new Set();
  let soon = null;
  document.addEventListener("upload-done", (event) => {
    waiting.add(event.detail.folder);
    soon ??= setTimeout(() => {
      soon = null;
      for (const folder of waiting) document.dispatchEvent(new CustomEvent("uploaded", { detail: { folder } }));
      waiting.clear();
    }, 700);
  });
}

if (tray) {
  queue.configure({ xsrf: tray.dataset.xsrf, user: tray.dataset.user });
  queue.watch(redraw);
  tray.addEventListener("click", onClick);
  tray.querySelector("#tray-files").addEventListener("change", (event) => {
    const found = queue.giveBack([...event.target.files]);
    if (!found) tray.querySelector("#tray-said").textContent = words.none_found;
    event.target.value = "";
  });
  window.addEventListener("beforeunload", (event) => {
    if (queue.needsPage()) event.preventDefault();
  });
  tellPages();
  fold(recall("sessionStorage", FOLDED) === "yes");
  queue.adopt();
}
