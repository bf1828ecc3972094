// A table that is drawn anew in place: cells change, what has the focus and what is chosen stays.

export function mergeTable(table, fresh) {
  const rows = new Map([...table.querySelectorAll("tr[data-queue]")].map((row) => [row.dataset.queue, row]));
  const body = table.tBodies[0];
  const wanted = [...fresh.querySelectorAll("tr[data-queue]")];
  const isSameSet = wanted.length === rows.size && wanted.every((row) => rows.has(row.dataset.queue));
  if (!isSameSet || !wanted.length) {
    const chosen = body.querySelector("input:checked")?.value;
    body.replaceChildren(...fresh.tBodies[0].children);
    for (const input of body.querySelectorAll("input[type=radio]")) input.checked = input.value === chosen && !input.disabled;
  } else {
    for (const row of wanted) mergeRow(rows.get(row.dataset.queue), row);
  }
  table.dataset.readAt = fresh.dataset.readAt;
}

function mergeRow(row, fresh) {
  row.className = fresh.className;
  Object.assign(row.dataset, fresh.dataset);
  const input = row.querySelector("input[type=radio]");
  input.disabled = fresh.querySelector("input[type=radio]").disabled;
  for (const cell of fresh.querySelectorAll("[data-cell]")) {
    const old = row.querySelector(`[data-cell="${cell.dataset.cell}"]`);
    if (old && old.innerHTML !== cell.innerHTML) old.replaceChildren(...cell.childNodes);
  }
}

export async function fetchTable(url, token) {
  const response = await fetch(url, { headers: { "X-XSRFToken": token, Accept: "text/html" }, redirect: "error", cache: "no-store" });
  if (!response.ok) throw new Error(`status ${response.status}`);
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  const table = page.querySelector("table");
  if (!table) throw new Error("no table");
  return table;
}
