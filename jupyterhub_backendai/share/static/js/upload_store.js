// Uploads that are not over, in the browser's own database: they outlive the page. Where there is none, they end with it.

const NAME = "backendai-uploads";
const KEPT = 16 * 1024 * 1024; // a small file is kept itself, a large one by its handle
let opening = null;

function open() {
  opening ??= new Promise((resolve, reject) => {
    const request = indexedDB.open(NAME, 1);
    request.onupgradeneeded = () => request.result.createObjectStore("items", { keyPath: "id" });
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
  return opening;
}

async function change(work) {
  try {
    const transaction = (await open()).transaction("items", "readwrite");
    work(transaction.objectStore("items"));
    await new Promise((resolve, reject) => {
      transaction.oncomplete = resolve;
      transaction.onerror = transaction.onabort = () => reject(transaction.error);
    });
  } catch {
    // a browser that keeps nothing, or is full: this page still uploads
  }
}

export function keepFile(item) {
  const { file, handle } = item;
  return { handle: handle ?? null, blob: handle || file.size > KEPT ? null : file };
}

export function put(records) {
  return change((store) => records.forEach((record) => store.put(record)));
}

export function remove(ids) {
  return change((store) => ids.forEach((id) => store.delete(id)));
}

export async function list() {
  try {
    const request = (await open()).transaction("items").objectStore("items").getAll();
    return await new Promise((resolve, reject) => {
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => reject(request.error);
    });
  } catch {
    return [];
  }
}
