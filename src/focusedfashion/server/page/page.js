// The page: a picture in, the closest products out. It talks to this server only, and writes text only as text.

// Words for a score. Provisional: to be set anew once scores are calibrated against what people call alike.
const WORDS = [
  [0.85, "Very close"],
  [0.7, "Close"],
  [0.5, "Similar"],
  [-1, "Somewhat alike"],
];

const K = 5;
const LONGER_SIDE = 1280; // px; the server works at 640, so nothing that it could see is lost
const JPEG_QUALITY = 0.9;

const byId = (id) => document.getElementById(id);

// Every search of this visit, so that the browser's Back shows the one before. A view is
// {picture: URL or "", caption, ask: (signal) => Promise<Response>, matches: once they are there}.
const views = [];
let current = null;
let request = new AbortController();

// From a person to a query

async function searchPhoto(file) {
  const view = {
    picture: URL.createObjectURL(file),
    caption: file.type.startsWith("image/") ? "Your photo" : file.name,
  };
  view.ask = async (signal) => {
    const form = new FormData();
    // Scaled once; a second try sends the same.
    view.upload ??= await scale(file);
    form.set("image", view.upload, "photo");
    form.set("k", K);
    return fetch("/v1/search", { method: "POST", body: form, signal });
  };
  await open(view);
}

async function searchSimilar(match) {
  await open({
    picture: match.thumbnail,
    caption: `More like ${nameOf(match.item)}`,
    ask: (signal) => fetch(`/v1/items/${encodeURIComponent(match.item.item_id)}/similar?k=${K}`, { signal }),
  });
}

// A file -> a JPEG of at most LONGER_SIDE, upright, without its metadata; the file itself where the browser cannot
// read it (HEIC), since the server may.
async function scale(file) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(file, { imageOrientation: "from-image" });
  } catch {
    return file;
  }
  const factor = Math.min(1, LONGER_SIDE / Math.max(bitmap.width, bitmap.height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(bitmap.width * factor));
  canvas.height = Math.max(1, Math.round(bitmap.height * factor));
  const context = canvas.getContext("2d");
  context.fillStyle = "#fff"; // under transparency, as the server has it
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  bitmap.close();
  const jpeg = await new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", JPEG_QUALITY));
  return jpeg ?? file;
}

// From a query to results

async function open(view) {
  history.pushState({ view: views.push(view) - 1 }, "");
  await run(view);
}

async function run(view) {
  request.abort();
  request = new AbortController();
  const { signal } = request;
  showWork(view);
  try {
    view.matches = await readMatches(await view.ask(signal));
  } catch (error) {
    if (!signal.aborted) showProblem(error);
    return;
  }
  if (!signal.aborted) showMatches(view);
}

async function readMatches(response) {
  const answer = await response.json().catch(() => ({}));
  if (response.ok) return answer.matches;
  throw new Problem(answer.detail ?? `The server answered ${response.status}.`, response.status);
}

class Problem extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

// What a person sees

function showStart() {
  current = null;
  document.body.dataset.state = "start";
  showQuery({ picture: "", caption: "" });
  byId("pick").textContent = "Choose a photo";
  byId("matches").replaceChildren();
}

function showQuery(view) {
  const picture = byId("query-picture");
  picture.hidden = !view.picture;
  picture.alt = view.caption;
  if (view.picture) picture.src = view.picture;
  else picture.removeAttribute("src");
  byId("caption").textContent = view.caption;
  byId("pick").textContent = "Choose another photo";
  byId("problem").textContent = "";
  byId("retry").hidden = true;
}

function showWork(view) {
  current = view;
  const hadFocus = byId("matches").contains(document.activeElement);
  document.body.dataset.state = "work";
  showQuery(view);
  byId("results").setAttribute("aria-busy", "true");
  byId("results-title").textContent = "Looking…";
  byId("news").textContent = "Looking for the closest.";
  byId("matches").replaceChildren(...Array.from({ length: K }, drawBlank));
  if (hadFocus) byId("results-title").focus({ preventScroll: true });
  scrollTo({ top: 0 });
}

function showMatches(view) {
  current = view;
  document.body.dataset.state = "done";
  showQuery(view);
  byId("results").removeAttribute("aria-busy");
  const { matches } = view;
  byId("results-title").textContent = matches.length ? "Closest" : "Nothing found";
  byId("news").textContent = matches.length
    ? `${matches.length} found. The closest: ${nameOf(matches[0].item)}, ${wordFor(matches[0].score)}.`
    : "Nothing found.";
  byId("matches").replaceChildren(...matches.map(drawMatch));
}

function showProblem(error) {
  const lost = !(error instanceof Problem);
  document.body.dataset.state = "done";
  byId("results").removeAttribute("aria-busy");
  byId("results-title").textContent = "That did not work";
  byId("news").textContent = ""; // the problem announces itself
  byId("matches").replaceChildren();
  byId("problem").textContent = lost ? "The server does not answer. Is it still running?" : capitalize(error.message);
  // Worth it where the picture is not to blame.
  byId("retry").hidden = !(lost || error.status >= 500);
}

function drawMatch(match, place) {
  const { item } = match;
  const card = byId("match").content.firstElementChild.cloneNode(true);
  const find = (selector) => card.querySelector(selector);
  card.style.setProperty("--place", place);
  const picture = find("img");
  picture.alt = nameOf(item);
  picture.addEventListener("error", () => picture.remove(), { once: true });
  picture.addEventListener("load", () => picture.classList.toggle("snug", fitsTile(picture)));
  picture.src = match.thumbnail;
  find(".brand").textContent = item.brand ?? "";
  find(".title").append(linkTo(item.url, nameOf(item)));
  find(".price").textContent = priceOf(item);
  find(".score em").textContent = wordFor(match.score);
  find(".score span").textContent = match.score.toFixed(2);
  find(".blocks").append(...Object.entries(match.blocks).map(drawBlock));
  find(".more").setAttribute("aria-label", `More like this: ${nameOf(item)}`);
  find(".more").addEventListener("click", () => searchSimilar(match));
  return card;
}

function drawBlock([block, cosine]) {
  const bar = make("span", { className: "bar" });
  bar.style.setProperty("--share", Math.max(0, cosine));
  const value = make("dd", {}, bar, make("span", { textContent: cosine.toFixed(2) }));
  return make("div", {}, make("dt", { textContent: capitalize(block) }), value);
}

function drawBlank() {
  const card = make("li", { className: "match blank", ariaHidden: "true" });
  card.append(make("div", { className: "tile" }), make("div", { className: "words" }));
  return card;
}

// Small words

const nameOf = (item) => item.title || item.item_id;

// Nearly 3:4: filling the tile cuts off less than a tenth, and leaves no slivers beside the picture.
const fitsTile = ({ naturalWidth, naturalHeight }) => Math.abs(Math.log(naturalWidth / naturalHeight / 0.75)) < 0.1;

const capitalize = (text) => text.charAt(0).toUpperCase() + text.slice(1);

// By the number as it is shown: 0.698 reads 0.70, and so has the word of 0.70.
const wordFor = (score) => WORDS.find(([least]) => score.toFixed(2) >= least)?.[1] ?? WORDS.at(-1)[1];

function priceOf({ price, currency }) {
  if (price == null) return "";
  try {
    return new Intl.NumberFormat(undefined, currency ? { style: "currency", currency } : {}).format(price);
  } catch {
    return `${price} ${currency}`; // not a currency that the browser knows
  }
}

// A catalog's links are not to be trusted: only the web's own two schemes become one.
function linkTo(url, text) {
  if (!/^https?:\/\//i.test(url ?? "")) return text;
  return make("a", { href: url, target: "_blank", rel: "noopener noreferrer", textContent: text });
}

function make(tag, properties, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

// The ways in: choose, drop, paste, Back

byId("file").addEventListener("change", ({ target }) => {
  const [file] = target.files;
  target.value = ""; // so that the same file can be chosen again
  if (file) searchPhoto(file);
});

const bringsFile = (event) => event.dataTransfer?.types.includes("Files");

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
  if (event.dataTransfer.files[0]) searchPhoto(event.dataTransfer.files[0]);
});

addEventListener("paste", (event) => {
  const file = event.clipboardData?.files[0];
  if (!file) return;
  event.preventDefault();
  searchPhoto(file);
});

addEventListener("popstate", ({ state }) => {
  request.abort();
  const view = views[state?.view];
  if (!view) showStart();
  else if (view.matches) showMatches(view);
  else run(view);
});

byId("retry").addEventListener("click", () => run(current));

byId("query-picture").addEventListener("error", ({ target }) => {
  target.hidden = true; // what the browser cannot show leaves the hanger in its place
});

// After a reload the views of before are gone, and Back must not take them for later ones.
history.replaceState(null, "");

fetch("/v1/info")
  .then((response) => response.json())
  .then(({ items }) => {
    if (items != null) byId("count").textContent = `${items.toLocaleString()} ${items === 1 ? "item" : "items"}`;
  })
  .catch(() => {}); // the first search says what is wrong
