// A large file: the page again while something goes on. Without this there is the page's link.
const REFRESH_MS = 1500;
if (document.getElementById("import")?.dataset.running === "1") setTimeout(() => window.location.reload(), REFRESH_MS);
document.documentElement.dataset.ready = "import";
