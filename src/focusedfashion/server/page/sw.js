// The service worker, only where the page is served over HTTPS: the page opens without the network (to say so), and
// other apps can share a picture to it. Answers of the catalog are never kept.

const SHELL = "shell-1";
const FILES = [
  "/",
  "/manifest.webmanifest",
  "/page/page.css",
  "/page/search.css",
  "/page/icon.svg",
  ...[
    "page",
    "words",
    "dom",
    "api",
    "state",
    "memory",
    "picture",
    "crop",
    "cards",
    "refine",
    "colors",
    "taste",
    "ways",
  ].map((name) => `/page/${name}.js`),
];

self.addEventListener("install", (event) => {
  event.waitUntil(
    caches
      .open(SHELL)
      .then((cache) => cache.addAll(FILES))
      .then(() => self.skipWaiting()),
  );
});

self.addEventListener("activate", (event) => {
  const forget = async () => {
    for (const name of await caches.keys()) if (name !== SHELL && name !== "shared") await caches.delete(name);
    await self.clients.claim();
  };
  event.waitUntil(forget());
});

self.addEventListener("fetch", (event) => {
  const { request } = event;
  const { pathname, origin } = new URL(request.url);
  if (origin !== location.origin) return;
  if (request.method === "POST" && pathname === "/share") event.respondWith(takePicture(request));
  else if (request.method === "GET" && FILES.includes(pathname)) event.respondWith(fetchOrRecall(request, pathname));
});

// What the server has now; what it had, where it cannot be reached.
async function fetchOrRecall(request, pathname) {
  const cache = await caches.open(SHELL);
  try {
    const response = await fetch(request);
    if (response.ok) await cache.put(pathname, response.clone());
    return response;
  } catch {
    return (await cache.match(pathname)) ?? Response.error();
  }
}

async function takePicture(request) {
  const picture = (await request.formData()).get("image");
  const cache = await caches.open("shared");
  if (picture) await cache.put("/shared-picture", new Response(picture, { headers: { "Content-Type": picture.type } }));
  return Response.redirect("/?shared", 303);
}
