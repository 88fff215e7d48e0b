// The ways in for a photo: choose, shoot, drop, paste, and what another app has shared.

import { byId } from "./dom.js";

const bringsFile = (event) => event.dataTransfer?.types.includes("Files");

// `search(file)` is called for every photo that a person brings.
export function takePhotos(search) {
  for (const id of ["file", "camera"]) {
    byId(id).addEventListener("change", ({ target }) => {
      const [file] = target.files;
      target.value = ""; // so that the same file can be chosen again
      if (file) search(file);
    });
  }

  for (const kind of ["dragenter", "dragover"]) {
    addEventListener(kind, (event) => {
      if (!bringsFile(event)) return;
      event.preventDefault();
      document.body.classList.add("dropping");
    });
  }

  addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) document.body.classList.remove("dropping");
  });

  addEventListener("drop", (event) => {
    document.body.classList.remove("dropping");
    if (!bringsFile(event)) return;
    event.preventDefault();
    if (event.dataTransfer.files[0]) search(event.dataTransfer.files[0]);
  });

  addEventListener("paste", (event) => {
    const file = event.clipboardData?.files[0];
    if (!file) return;
    event.preventDefault();
    search(file);
  });
}

// A picture that another app has shared to this one, once: the service worker keeps it for this moment.
export async function takeShared() {
  if (!location.search.includes("shared") || !("caches" in window)) return null;
  history.replaceState(null, "", location.pathname);
  const cache = await caches.open("shared");
  const kept = await cache.match("/shared-picture");
  if (!kept) return null;
  await cache.delete("/shared-picture");
  return new File([await kept.blob()], "shared");
}
