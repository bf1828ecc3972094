// Where files are chosen or dropped for the directory that is shown.
import { gatherDrop, gatherFiles, gatherHandles } from "./upload_files.js";
import { loadTus } from "./upload_queue.js";
import { addUploads } from "./upload_tray.js";

function target(section) {
  const { folder, name, path, pathRef, rest } = section.dataset;
  return { folder, folderName: name, directory: pathRef ? "" : path, directoryRef: pathRef, rest, shown: path ? `${name}/${path}` : name };
}

async function add(section, gathering) {
  const { files, directories } = await gathering;
  if (files.length || directories.length) await addUploads(target(section), files, directories);
}

// A picker that gives handles, which outlive the page; else the input that every browser has. Nothing chosen is no error.
async function pick(section, name, input, gather) {
  if (!window[name]) {
    input.click();
    return;
  }
  try {
    await add(section, gather());
  } catch (error) {
    if (error.name !== "AbortError") input.click();
  }
}

export async function watchDrops(section) {
  if (section.dataset.canUpload !== "yes") return;
  const buttons = section.querySelector("#upload-buttons");
  const plain = section.querySelector("#upload-plain");
  if (!buttons || !(await loadTus())) return; // the form without scripts stays
  plain.hidden = true;
  buttons.hidden = false;
  const files = section.querySelector("#pick-files");
  const directory = section.querySelector("#pick-directory");
  for (const input of [files, directory]) {
    input.addEventListener("change", () => {
      add(section, gatherFiles([...input.files]));
      input.value = "";
    });
  }
  section.querySelector("#upload-files").addEventListener("click", () =>
    pick(section, "showOpenFilePicker", files, async () => gatherHandles(await window.showOpenFilePicker({ multiple: true }))),
  );
  section.querySelector("#upload-directory").addEventListener("click", () =>
    pick(section, "showDirectoryPicker", directory, async () => gatherHandles([await window.showDirectoryPicker()])),
  );
  let depth = 0;
  const mark = (change) => {
    depth = Math.max(0, change ? depth + change : 0);
    section.classList.toggle("bai-dropping", depth > 0);
  };
  const hasFiles = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
  section.addEventListener("dragenter", (event) => hasFiles(event) && mark(1));
  section.addEventListener("dragleave", (event) => hasFiles(event) && mark(-1));
  section.addEventListener("dragover", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    event.dataTransfer.dropEffect = "copy";
  });
  section.addEventListener("drop", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    mark(0);
    add(section, gatherDrop(event.dataTransfer));
  });
}
