// On the page of sessions, which is loaded anew while something starts: tell of what became ready since, or came to nothing.
import { keep, notify, recall } from "./notify.js";

const KEY = "backendai-starting";

export function tellWhatStarted(sessions) {
  const sections = [...sessions.querySelectorAll("section[data-server]")];
  const isStarting = (section) => Boolean(section.querySelector(".bai-state.wait"));
  const nameOf = (section) => section.querySelector("h2").textContent.trim();
  const before = JSON.parse(recall("sessionStorage", KEY) ?? "[]");
  for (const [server, name] of before) {
    const section = sections.find((item) => item.dataset.server === server);
    if (section && isStarting(section)) continue;
    const isReady = section?.querySelector(".bai-state.run");
    const { ready, failed, look } = sessions.dataset;
    if (isReady || !section) notify((isReady ? ready : failed).replace("{n}", name), look, `started-${server}`);
  }
  const starting = sections.filter(isStarting).map((section) => [section.dataset.server, nameOf(section)]);
  keep("sessionStorage", KEY, JSON.stringify(starting));
}
