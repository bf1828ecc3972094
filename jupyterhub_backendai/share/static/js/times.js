// Moments in the reader's own zone, with the exact time on hover.
export function dressTimes(timeStyle = "short", root = document) {
  for (const time of root.querySelectorAll("time[datetime]")) {
    const date = new Date(time.dateTime);
    if (Number.isNaN(date.getTime())) continue;
    time.title = date.toLocaleString(document.documentElement.lang);
    time.textContent = date.toLocaleString(document.documentElement.lang, { dateStyle: "medium", timeStyle });
  }
}
