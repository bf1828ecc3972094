// The queue of uploads: three at a time by TUS, again and again while the network is away, and on from where they were after a reload.
import { keepFile, list, put, remove } from "./upload_store.js";

const AT_ONCE = 3;
const CHUNK = 8 * 1024 * 1024;
const IN_ONE = 1024 * 1024; // so small that making an upload and sending it are one request
const WAITS_MS = [1000, 2000, 4000, 8000, 15000, 30000];
const OLD_MS = 7 * 24 * 3600 * 1000; // as long as the server keeps what has arrived
const GOES_ON = ["waiting", "running", "offline"];
const RUNTIME = ["file", "task", "timer", "tries"];

export const items = new Map();
const events = new EventTarget();
let site = { xsrf: "", user: "" };
let loading = null;

// tus-js-client, when it is needed; null where it was not installed: then the plain form stays.
export function loadTus() {
  loading ??= import("../vendor/tus.js").then(({ default: found }) => (found.isSupported ? found : null)).catch(() => null);
  return loading;
}

export function configure(facts) {
  site = facts;
}

export function watch(listener) {
  events.addEventListener("change", (event) => listener(event.detail));
}

function tell(item) {
  events.dispatchEvent(new CustomEvent("change", { detail: item }));
}

function record(item) {
  return Object.fromEntries(Object.entries(item).filter(([name]) => !RUNTIME.includes(name)));
}

function change(item, changes, { keep = true } = {}) {
  Object.assign(item, changes);
  if (keep) put([record(item)]);
  tell(item);
}

// Held while this page has the batch: another page of the same browser takes it over only when this one is gone. Whether it is ours;
// with ``wait`` it will be.
function hold(batch, { wait = false } = {}) {
  if (!navigator.locks) return Promise.resolve(true);
  return new Promise((resolve) => {
    navigator.locks
      .request(`backendai-upload-${batch}`, { ifAvailable: !wait }, (lock) => {
        resolve(Boolean(lock));
        return lock ? new Promise(() => {}) : null;
      })
      .catch(() => resolve(true));
  });
}

export function isOver(item) {
  return ["done", "skipped"].includes(item.state);
}

// Whether leaving the page would lose what the browser cannot find again by itself.
export function needsPage() {
  return [...items.values()].some((item) => GOES_ON.includes(item.state) && item.file && !item.handle && !item.blob);
}

export async function add(target, files) {
  const batch = crypto.randomUUID?.() ?? String(Math.random()).slice(2);
  await hold(batch);
  const at = Date.now();
  const fresh = files.map(({ path, file, handle }, number) => ({
    ...target,
    ...keepFile({ file, handle }),
    id: `${batch}-${number}`,
    batch,
    at,
    user: site.user,
    path,
    size: file.size,
    modified: file.lastModified,
    url: "",
    sent: 0,
    state: "waiting",
    conflict: "fail",
    message: "",
    file,
  }));
  for (const item of fresh) items.set(item.id, item);
  await put(fresh.map(record));
  tell(null);
  pump();
}

// What an earlier page began and no other page has now; what another one has, when that one is closed.
export async function adopt() {
  const found = (await list()).filter((item) => item.user === site.user);
  const old = found.filter((item) => item.at < Date.now() - OLD_MS);
  if (old.length) remove(old.map((item) => item.id));
  const batches = group(found.filter((item) => item.at >= Date.now() - OLD_MS && !items.has(item.id)));
  for (const [batch, members] of batches) {
    if (await hold(batch)) await reviveAll(members);
    else takeOver(batch);
  }
}

async function takeOver(batch) {
  await hold(batch, { wait: true });
  await reviveAll((await list()).filter((item) => item.batch === batch));
}

async function reviveAll(members) {
  for (const item of members) await revive(item);
  tell(null);
  pump();
}

function group(found) {
  const groups = new Map();
  for (const item of found) groups.set(item.batch, [...(groups.get(item.batch) ?? []), item]);
  return groups;
}

async function revive(item) {
  items.set(item.id, item);
  if (GOES_ON.includes(item.state)) item.state = "waiting";
  if (item.blob) item.file = item.blob;
  else if (!item.handle) item.state = "lost";
  else if ((await item.handle.queryPermission({ mode: "read" }).catch(() => "denied")) === "granted") await readHandle(item);
  else item.state = "asking";
}

async function readHandle(item) {
  const file = await item.handle.getFile().catch(() => null);
  if (!file) item.state = "lost";
  else if (!isSame(item, file)) Object.assign(item, { state: "failed", message: "changed" });
  else item.file = file;
}

function isSame(item, file) {
  return file.size === item.size && file.lastModified === item.modified;
}

// A press of a button: the browser asks whether we may read the files again.
export async function askAgain() {
  for (const item of items.values()) {
    if (item.state !== "asking") continue;
    const answer = await item.handle.requestPermission({ mode: "read" }).catch(() => "denied");
    if (answer !== "granted") continue;
    item.state = "waiting";
    await readHandle(item);
    change(item, {});
  }
  pump();
}

// Files that were chosen again go on where they belong; how many did.
export function giveBack(files) {
  let count = 0;
  for (const file of files) {
    const path = file.webkitRelativePath || file.name;
    const lost = [...items.values()].filter((item) => item.state === "lost" && isSame(item, file));
    const item = lost.find((one) => one.path === path) ?? lost.find((one) => one.path.split("/").pop() === file.name);
    if (!item) continue;
    item.file = file;
    change(item, { state: "waiting" });
    count += 1;
  }
  pump();
  return count;
}

function pump() {
  const running = [...items.values()].filter((item) => item.state === "running").length;
  const waiting = [...items.values()].filter((item) => item.state === "waiting" && item.file);
  for (const item of waiting.slice(0, Math.max(0, AT_ONCE - running))) run(item);
}

async function run(item) {
  change(item, { state: "running", message: "" });
  const tus = await loadTus();
  if (!tus || (item.url && !(await isThere(item)))) return;
  if (item.state !== "running") return; // paused or cancelled meanwhile
  const metadata = { filename: item.path.split("/").pop(), relativePath: item.path, on_conflict: item.conflict };
  if (item.directoryRef) metadata.directory_ref = item.directoryRef;
  else if (item.directory) metadata.directory = item.directory;
  item.task = new tus.Upload(item.file, {
    ...(item.url ? { uploadUrl: item.url } : { endpoint: `${item.rest}/uploads` }),
    headers: { "X-XSRFToken": site.xsrf },
    metadata,
    chunkSize: CHUNK,
    uploadDataDuringCreation: item.size <= IN_ONE,
    storeFingerprintForResuming: false,
    retryDelays: null, // we go on ourselves: an answer of 503 is no reason to begin anew
    onUploadUrlAvailable: () => change(item, { url: item.task.url }),
    onProgress: (sent) => change(item, { sent }, { keep: false }),
    onChunkComplete: () => change(item, { tries: 0 }),
    onSuccess: () => finish(item, "done"),
    onError: (error) => judge(item, error.originalResponse ? readResponse(error.originalResponse) : { status: 0 }),
  });
  item.task.start();
}

function readResponse(response) {
  return { status: response.getStatus(), ...parse(response.getBody()) };
}

function parse(text) {
  try {
    const { title, error_code: code } = JSON.parse(text);
    return { title, code };
  } catch {
    return {};
  }
}

// Whether the server still has what arrived; if not, it begins anew.
async function isThere(item) {
  try {
    const headers = { "Tus-Resumable": "1.0.0", "X-XSRFToken": site.xsrf };
    const response = await fetch(item.url, { method: "HEAD", headers, redirect: "error", cache: "no-store" });
    if (response.ok) return true;
    if (response.status === 404 || response.status === 410) {
      change(item, { url: "", sent: 0 });
      return true;
    }
    judge(item, { status: response.status });
  } catch {
    judge(item, { status: 0 });
  }
  return false;
}

function judge(item, { status, title, code }) {
  if (item.state !== "running") return;
  item.task = null;
  const isMisplaced = code === "backendai_upload_offset-mismatch";
  if (status === 409 && !isMisplaced) change(item, { state: "conflict", message: title ?? "", ...(item.url ? {} : { sent: 0 }) });
  else if (!status || isMisplaced || [423, 429, 460].includes(status) || (status >= 500 && status !== 507)) waitAndGoOn(item, title);
  else change(item, { state: "failed", message: title ?? String(status) });
  pump();
}

function waitAndGoOn(item, title) {
  item.tries = (item.tries ?? 0) + 1;
  change(item, { state: "offline", message: title ?? "" });
  item.timer = setTimeout(() => goOn(item), WAITS_MS[Math.min(item.tries, WAITS_MS.length) - 1]);
}

function goOn(item) {
  clearTimeout(item.timer);
  if (item.state !== "offline") return;
  change(item, { state: "waiting" });
  pump();
}

function finish(item, state) {
  remove([item.id]);
  change(item, { state, sent: state === "done" ? item.size : item.sent, file: null, task: null, blob: null }, { keep: false });
  pump();
  if (state === "done") document.dispatchEvent(new CustomEvent("upload-done", { detail: { folder: item.folder } }));
}

export function pause(item) {
  if (!GOES_ON.includes(item.state)) return;
  clearTimeout(item.timer);
  item.task?.abort();
  change(item, { state: "paused", task: null });
  pump();
}

export function resume(item) {
  if (!["paused", "failed"].includes(item.state) || !item.file) return;
  change(item, { state: "waiting", message: "" });
  pump();
}

// Forget it, here and there.
export async function cancel(item) {
  clearTimeout(item.timer);
  await item.task?.abort();
  const { url } = item;
  finish(item, "skipped");
  items.delete(item.id);
  tell(null);
  if (!url) return;
  const headers = { "Tus-Resumable": "1.0.0", "X-XSRFToken": site.xsrf };
  await fetch(url, { method: "DELETE", headers, redirect: "error", keepalive: true }).catch(() => {}); // it expires
}

// Something of that name is there: replace it, keep both (``rename``), or leave this one out (``skip``).
export async function settle(item, choice) {
  if (choice === "skip") {
    await cancel(item);
    return;
  }
  change(item, { state: "running", conflict: choice, message: "" });
  if (!item.url) {
    change(item, { state: "waiting" });
    pump();
    return;
  }
  try {
    const response = await fetch(`${item.url}?on_conflict=${choice}`, { method: "POST", headers: { "X-XSRFToken": site.xsrf }, redirect: "error" });
    if (response.ok) finish(item, "done");
    else judge(item, { status: response.status, ...parse(await response.text()) });
  } catch {
    judge(item, { status: 0 });
  }
}

export function clearOver() {
  for (const item of [...items.values()]) if (isOver(item)) items.delete(item.id);
  tell(null);
}

window.addEventListener("online", () => {
  for (const item of items.values()) goOn(item);
});
