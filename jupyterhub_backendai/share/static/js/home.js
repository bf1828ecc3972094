// My sessions: stop one, remove a name that is not used any more.
import { offerNotifications, watchEnds } from "./endings.js";
import { callHub } from "./hub.js";
import { tellWhatStarted } from "./started.js";
import { dressTimes } from "./times.js";

const REFRESH_MS = 15000;
const sessions = document.getElementById("sessions");
const message = document.getElementById("message");

async function act(button, body) {
  const text = button.textContent;
  button.disabled = true;
  button.textContent = button.dataset.busy;
  try {
    const response = await callHub("DELETE", button.dataset.api, sessions.dataset.xsrf, body);
    if (!response.ok && response.status !== 404) throw new Error(`status ${response.status}`);
    window.location.reload();
  } catch {
    message.textContent = message.dataset.failed;
    button.disabled = false;
    button.textContent = text;
  }
}

for (const button of document.querySelectorAll(".bai-stop, .bai-remove")) button.hidden = false; // without scripts they could do nothing
for (const button of document.querySelectorAll(".bai-stop")) button.addEventListener("click", () => act(button));
for (const button of document.querySelectorAll(".bai-remove")) button.addEventListener("click", () => act(button, { remove: true }));
dressTimes();
tellWhatStarted(sessions);
offerNotifications();
// When each will end is the service's to say: it may have been given more time.
watchEnds((found) => {
  for (const place of document.querySelectorAll(".bai-left")) {
    const end = found.find((session) => session.id === place.dataset.session)?.end;
    place.hidden = !end;
    if (!end) continue;
    const when = new Date(end.at).toLocaleString(document.documentElement.lang, { dateStyle: "medium", timeStyle: "short" });
    place.textContent = place.dataset.left.replace("{n}", when);
  }
});
// What is starting or stopping changes without being asked for.
if (document.querySelector(".bai-state.wait, .bai-state.down")) setTimeout(() => window.location.reload(), REFRESH_MS);
