// The summary: moments in the reader's own zone, and a look again while something starts or stops.
const REFRESH_MS = 15000;

for (const time of document.querySelectorAll("time[datetime]")) {
  const date = new Date(time.dateTime);
  if (Number.isNaN(date.getTime())) continue;
  time.title = date.toLocaleString(document.documentElement.lang);
  time.textContent = date.toLocaleString(document.documentElement.lang, { dateStyle: "medium", timeStyle: "short" });
}
if (document.querySelector(".bai-now .bai-state.wait, .bai-now .bai-state.down")) {
  setTimeout(() => {
    if (!document.hidden && !document.activeElement?.closest("form, details")) window.location.reload();
  }, REFRESH_MS);
}
document.documentElement.dataset.ready = "summary";
