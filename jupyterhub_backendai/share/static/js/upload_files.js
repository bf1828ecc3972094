// What was dropped or picked, as a flat list: {path, file, handle?} for each file, and the directories that are empty.

async function walkHandle(handle, path, found) {
  if (handle.kind === "file") {
    found.files.push({ path, file: await handle.getFile(), handle });
    return;
  }
  let isEmpty = true;
  for await (const child of handle.values()) {
    isEmpty = false;
    await walkHandle(child, `${path}/${child.name}`, found);
  }
  if (isEmpty) found.directories.push(path);
}

function readEntries(reader) {
  return new Promise((resolve, reject) => {
    reader.readEntries(resolve, reject);
  });
}

async function walkEntry(entry, path, found) {
  if (entry.isFile) {
    const file = await new Promise((resolve, reject) => {
      entry.file(resolve, reject);
    });
    found.files.push({ path, file });
    return;
  }
  const reader = entry.createReader();
  let isEmpty = true;
  // It answers in pieces of a hundred, and with an empty one at the end.
  for (let batch = await readEntries(reader); batch.length; batch = await readEntries(reader)) {
    isEmpty = false;
    for (const child of batch) await walkEntry(child, `${path}/${child.name}`, found);
  }
  if (isEmpty) found.directories.push(path);
}

// Files and whole directories. Everything is asked for at once: after the event the browser forgets what was dropped.
export async function gatherDrop(transfer) {
  const items = [...transfer.items]
    .filter((item) => item.kind === "file")
    .map((item) => ({ handle: item.getAsFileSystemHandle?.().catch(() => null), entry: item.webkitGetAsEntry?.(), file: item.getAsFile() }));
  const found = { files: [], directories: [] };
  for (const item of items) {
    const handle = await item.handle;
    if (handle) await walkHandle(handle, handle.name, found);
    else if (item.entry) await walkEntry(item.entry, item.entry.name, found);
    else if (item.file) found.files.push({ path: item.file.name, file: item.file });
  }
  return found;
}

export async function gatherHandles(handles) {
  const found = { files: [], directories: [] };
  for (const handle of handles) await walkHandle(handle, handle.name, found);
  return found;
}

export async function gatherFiles(files) {
  return { files: files.map((file) => ({ path: file.webkitRelativePath || file.name, file })), directories: [] };
}
