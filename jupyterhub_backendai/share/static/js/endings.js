// Warns of the ends of one's sessions on any page that has a place for it, and by notifications of the browser where they are wanted.
const LOOK_MS = 60000;
const WANTED = "backendai-end-notify";
const TOLD = "backendai-end-told";

function recall(name) {
  try {
    return window.localStorage.getItem(name);
  } catch {
    return null; // a browser that keeps nothing
  }
}

function keep(name, value) {
  try {
    window.localStorage.setItem(name, value);
  } catch {
    // told again by the next page, which does no harm
  }
}

function isWanted() {
  return "Notification" in window && Notification.permission === "granted" && recall(WANTED) === "yes";
}

// Once for each end, whichever of the open pages is first. An end that moved by a minute is the same.
function notify(session, place) {
  if (!isWanted()) return;
  const key = `${session.id} ${session.end.kind}`;
  const at = Date.parse(session.end.at);
  const told = JSON.parse(recall(TOLD) ?? "{}");
  if (Math.abs((told[key] ?? 0) - at) < 120000) return;
  const fresh = Object.fromEntries(Object.entries(told).filter(([, moment]) => moment > Date.now() - 86400000));
  keep(TOLD, JSON.stringify({ ...fresh, [key]: at }));
  const note = new Notification(session.name || place.dataset.unnamed, { body: session.end.warning, tag: key });
  note.addEventListener("click", () => {
    window.focus();
    window.location.assign(session.url);
  });
}

function show(place, sessions) {
  const near = sessions.filter((session) => session.end?.warning);
  const known = new Map([...place.children].map((item) => [item.dataset.session, item]));
  for (const item of known.values()) if (!near.some((session) => session.id === item.dataset.session)) item.remove();
  for (const session of near) {
    const item = known.get(session.id) ?? place.appendChild(document.createElement("p"));
    item.className = "alert alert-warning py-2";
    item.dataset.session = session.id;
    const link = document.createElement("a");
    link.className = "alert-link";
    link.href = session.url;
    link.textContent = session.end.can_keep ? place.dataset.keep : session.can_extend ? place.dataset.open : place.dataset.look;
    const name = document.createElement("strong");
    name.textContent = session.name || place.dataset.unnamed;
    item.replaceChildren(name, ": ", session.end.warning, " ", link);
    notify(session, place);
  }
}

// With the token of the page, and never on to a login: that would make the tokens of all open forms invalid.
export async function look(place, onSessions) {
  const headers = { Accept: "application/json", "X-XSRFToken": place.dataset.xsrf };
  const response = await fetch(place.dataset.url, { headers, redirect: "error", cache: "no-store" });
  if (!response.ok || !response.headers.get("Content-Type")?.includes("json")) return;
  const { sessions } = await response.json();
  show(place, sessions);
  onSessions?.(sessions);
}

export function watchEnds(onSessions) {
  const place = document.getElementById("end-warnings");
  if (!place) return;
  const again = () => look(place, onSessions).catch(() => {}); // an outage: the next look tells
  again();
  setInterval(again, LOOK_MS);
}

export function offerNotifications() {
  const box = document.getElementById("end-notify-box");
  if (!box || !("Notification" in window)) return;
  const button = document.getElementById("end-notify");
  const state = document.getElementById("end-notify-state");
  const say = () => {
    button.hidden = isWanted() || Notification.permission === "denied";
    state.textContent = isWanted() ? button.dataset.on : Notification.permission === "denied" ? button.dataset.refused : "";
  };
  button.addEventListener("click", async () => {
    if ((await Notification.requestPermission()) === "granted") keep(WANTED, "yes");
    say();
  });
  box.hidden = false;
  say();
}
