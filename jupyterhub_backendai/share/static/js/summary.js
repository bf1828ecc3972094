// The summary: moments in the reader's own zone, and a look again while something starts or stops.
import { offerNotifications, watchEnds } from "./endings.js";
import { dressTimes } from "./times.js";

const REFRESH_MS = 15000;

dressTimes();
watchEnds();
offerNotifications();
if (document.querySelector(".bai-now .bai-state.wait, .bai-now .bai-state.down")) {
  setTimeout(() => {
    if (!document.hidden && !document.activeElement?.closest("form, details")) window.location.reload();
  }, REFRESH_MS);
}
document.documentElement.dataset.ready = "summary";
