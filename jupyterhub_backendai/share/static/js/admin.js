// The administrator's pages work without this; it only tells times in the reader's zone.
const language = document.documentElement.lang;

for (const time of document.querySelectorAll("#main time[datetime]")) {
  const date = new Date(time.dateTime);
  if (Number.isNaN(date.getTime())) continue;
  time.title = date.toLocaleString(language, { dateStyle: "full", timeStyle: "long" });
  time.textContent = date.toLocaleString(language, { dateStyle: "medium", timeStyle: "short" });
}
document.documentElement.dataset.ready = "admin";
