// The page: a picture or words in, the closest products out. It talks to this server only, and writes text only as text.
//
// One state (state.js) says what is searched; `change` brings it further, the address follows it, and every answer of
// this visit is kept under its address, so that Back shows it at once.

import { getCatalog, getItem, Problem, search, sendPhoto } from "./api.js";
import { drawBlank, drawCard, openWhy, sayScore } from "./cards.js";
import { Crop } from "./crop.js";
import { byId, make, nameOf, thumbnailOf } from "./dom.js";
import { forgetLikes, keepPhoto, readLikes, readPhoto, readWishes } from "./memory.js";
import { shrink, toBlob, toDataUrl } from "./picture.js";
import { Refine } from "./refine.js";
import { countFilters, listFilters, makeState, readState, toQuery, writeState } from "./state.js";
import { orderByTaste } from "./taste.js";
import { takePhotos, takeShared } from "./ways.js";
import { capitalize, fillWords, words } from "./words.js";

const K = 20; // products at first, and with each "show more"
const WAIT = 120; // ms of quiet after which a slider's or a crop's change is searched
const KEPT = 30; // answers
const SEEN = ["category", "color", "pattern"]; // what the encoder says of the photo, in a line

let state = makeState();
let photo = null; // a file that is on its way and has no name of the server's yet: {file, url}
let shown = null; // {matches, cursor, query}
let catalog = { blocks: {} };
let refine = null;
let request = new AbortController();
let timer = 0;
const answers = new Map(); // address -> shown
const pictures = new Map(); // image_id -> the photo's URL in this browser
const titles = new Map(); // item_id -> title, for the caption

const actions = {
  similar: (item) => open({ item: item.item_id }),
  why: (match) =>
    openWhy(
      match,
      { picture: state.text ? make("p", { dir: "auto" }, words.quoted(state.text)) : copyPicture(), subject: subjectOf(), filters: listFilters(state, refine.kinds) },
      actions,
    ),
  taste: () => arrange(),
  wished: () => {
    showWishCount();
    if (state.wishes) showWishes();
  },
};

// From a person to a search

async function searchPhoto(file) {
  const mine = (photo = { file, url: "" });
  state = makeState();
  byId("text").value = "";
  history.pushState(null, "", location.pathname);
  const signal = leaveRequest();
  showWork(true);
  try {
    const blob = await shrink(file);
    if (signal.aborted) return;
    mine.url = URL.createObjectURL(blob);
    showQuery();
    const imageId = await sendAndKeep(blob, mine.url, signal);
    photo = null;
    state = { ...state, image: imageId };
    history.replaceState(null, "", location.pathname + writeState(state));
    await run();
  } catch (error) {
    if (!signal.aborted) showProblem(error);
  }
}

// A photo -> the name that the server gives it; this tab remembers what it showed.
async function sendAndKeep(blob, url, signal) {
  const { image_id: imageId } = await sendPhoto(blob, signal);
  pictures.set(imageId, url);
  toDataUrl(blob).then((data) => keepPhoto(imageId, data));
  return imageId;
}

function leaveRequest() {
  clearTimeout(timer);
  request.abort();
  request = new AbortController();
  return request.signal;
}

// A new item or text: an entry of its own in the history, from the top; filters and the order stay.
function open(subject) {
  photo = null;
  state = makeState({ ...subject, picks: state.picks, ranges: state.ranges, sort: state.sort });
  history.pushState(null, "", location.pathname + writeState(state));
  start();
}

// Another filter, weight or part of the same subject. `push`: Back leads to before it; `wait`: more may follow at once.
function change(parts, { push = false, wait = false } = {}) {
  state = { ...state, ...parts };
  refine.show(state);
  if (photo) return; // it is searched with all this as soon as the server has it
  const address = location.pathname + writeState(state);
  if (push) history.pushState(null, "", address);
  else history.replaceState(null, "", address);
  showCrop();
  clearTimeout(timer);
  timer = setTimeout(run, wait ? WAIT : 0);
}

function start() {
  leaveRequest();
  if (byId("why").open) byId("why").close();
  byId("look").classList.remove("adjusting");
  byId("adjust").setAttribute("aria-expanded", "false");
  byId("text").value = state.text;
  if (state.wishes) return showWishes();
  if (!state.item && !state.text && !state.image) return showStart();
  const kept = answers.get(writeState(state));
  refine.show(state);
  if (kept) {
    refine.load(state);
    shown = kept;
    showQuery();
    return showMatches();
  }
  showWork(true);
  return run();
}

const subjectOf = () =>
  state.item ? { item_id: state.item } : state.text ? { text: state.text } : { image_id: state.image };

async function ask(query, signal) {
  try {
    return await search(subjectOf(), query, signal);
  } catch (error) {
    if (!state.image || error.status !== 404) throw error;
    // The server has let the photo go; this tab may still have it.
    const kept = readPhoto(state.image);
    if (!kept) throw new Problem(words.expired, 404);
    const imageId = await sendAndKeep(toBlob(kept), kept, signal);
    state = { ...state, image: imageId };
    history.replaceState(null, "", location.pathname + writeState(state));
    delete query.cursor; // it was of the photo's other name
    return search(subjectOf(), query, signal);
  }
}

async function run() {
  const signal = leaveRequest();
  showWork(false);
  try {
    const answer = await ask({ k: K, ...toQuery(state, refine.kinds, catalog.blocks) }, signal);
    if (signal.aborted) return;
    shown = { matches: answer.matches, cursor: answer.cursor, query: answer.query };
    keepAnswer();
    refine.load(state); // after the search: the results come first
    await arrange(true);
  } catch (error) {
    if (!signal.aborted) showProblem(error);
  }
}

function keepAnswer() {
  const address = writeState(state);
  answers.delete(address);
  answers.set(address, shown);
  if (answers.size > KEPT) answers.delete(answers.keys().next().value);
  for (const { item } of shown.matches) titles.set(item.item_id, nameOf(item));
}

async function showMore() {
  const { signal } = request;
  const before = shown;
  byId("more").disabled = true;
  try {
    const query = { k: K, ...toQuery(state, refine.kinds, catalog.blocks), cursor: before.cursor };
    const answer = await ask(query, signal);
    if (signal.aborted) return;
    const place = before.matches.length;
    const known = new Set(before.matches.map(({ item }) => item.item_id));
    const more = answer.matches.filter(({ item }) => !known.has(item.item_id));
    shown = { ...before, matches: [...before.matches, ...more], cursor: answer.cursor };
    keepAnswer();
    await arrange();
    byId("news").textContent = words.added(more.length);
    byId("matches").children[place]?.querySelector("button").focus({ preventScroll: true });
  } catch (error) {
    if (!signal.aborted) showProblem(error, true);
  } finally {
    byId("more").disabled = false;
  }
}

// The order: by likes too, unless the price orders.
async function arrange(fresh = false) {
  const mine = shown;
  const likes = readLikes();
  const byTaste = state.sort === "score" && likes.size > 0 && !state.wishes;
  if (byTaste && fresh) showMatches(); // at once as the server has them; the likes need a request
  const order = byTaste ? await orderByTaste(mine.matches, likes) : mine.matches;
  if (shown === mine && document.body.dataset.state !== "start" && !state.wishes) showMatches(order);
}

// What a person sees

// start, work (a search is on its way), done or wishes
function setState(name) {
  document.body.dataset.state = name;
  document.body.classList.toggle("search", name === "work" || name === "done");
}

function showStart() {
  clearProblem();
  shown = null;
  photo = null;
  setState("start");
  document.title = words.title;
  byId("pick").textContent = words.choose;
  byId("matches").replaceChildren();
  byId("news").textContent = "";
  closeSheet();
}

function pictureOf() {
  if (photo) return photo.url;
  if (state.item) return thumbnailOf(state.item);
  return pictures.get(state.image) ?? readPhoto(state.image);
}

function showQuery() {
  const picture = byId("query-picture");
  const url = pictureOf();
  const title = state.item && titles.get(state.item);
  const what = state.text ? words.quoted(state.text) : words.yourPhoto;
  const caption = state.item ? (title ? words.moreLike(title) : "") : what;
  picture.alt = caption;
  picture.closest(".looker").hidden = Boolean(state.text);
  if (!url) {
    picture.hidden = true;
    picture.removeAttribute("src");
  } else if (picture.getAttribute("src") !== url) picture.src = url; // the one before stays until it has come
  byId("caption").textContent = state.text ? "" : caption; // the box says it
  byId("pick").textContent = state.text ? words.choose : words.chooseAnother;
  const seen = shown?.query.attributes ?? {};
  byId("seen").hidden = Boolean(state.item || state.text);
  byId("seen").textContent = state.item
    ? ""
    : SEEN.map((group) => seen[group]?.[0]?.label)
        .filter(Boolean)
        .join(" · ");
  showCrop();
  document.title = caption ? `${caption} – ${words.title}` : words.title;
  if (state.item && !title) {
    const { item } = state;
    getItem(item).then(
      (found) => {
        titles.set(item, nameOf(found));
        if (state.item === item) showQuery();
      },
      () => {},
    ); // the search says that there is none
  }
}

function showCrop() {
  const can = !state.item && !byId("query-picture").hidden;
  crop.area.hidden = !can;
  byId("look").classList.toggle("still", !can);
  byId("adjust").hidden = !can;
  byId("whole").hidden = !can || !state.box;
  crop.show(state.box);
}

// `anew`: another subject, so that nothing of what is shown stays.
function showWork(anew) {
  const hadFocus = byId("matches").contains(document.activeElement);
  clearProblem();
  setState("work");
  byId("results").setAttribute("aria-busy", "true");
  byId("news").textContent = words.lookingNews;
  if (!anew && shown) return;
  shown = null;
  showQuery();
  refine?.show(state);
  byId("results-title").textContent = words.looking;
  byId("more").hidden = true;
  byId("note").hidden = true;
  byId("matches").replaceChildren(...Array.from({ length: 10 }, drawBlank));
  if (hadFocus) byId("results-title").focus({ preventScroll: true });
  scrollTo({ top: 0 });
}

function showMatches(matches = shown.matches) {
  setState("done");
  showQuery();
  byId("results").removeAttribute("aria-busy");
  clearProblem();
  const title = state.sort === "score" ? words.closest : words.byPrice;
  byId("results-title").textContent = matches.length ? title : words.nothing;
  const nearest = matches[0];
  byId("news").textContent = nearest
    ? words.found(matches.length, nameOf(nearest.item), sayScore(nearest))
    : words.nothing;
  showTaste();
  if (!matches.length) showNote(countFilters(state) ? words.nothingHint : words.noneNear);
  byId("more").hidden = !shown.cursor;
  drawCards(matches);
}

function showTaste() {
  const marks = [...readLikes().values()];
  const likes = marks.filter((value) => value > 0).length;
  if (marks.length && state.sort === "score") showNote(words.tasteNote(likes, marks.length - likes), true);
  else byId("note").hidden = true;
}

function showNote(text, forgettable = false) {
  byId("note").hidden = false;
  byId("note-words").textContent = text;
  byId("forget").hidden = !forgettable;
}

// New cards in place of the old ones; a picture that was there stays, and what moved is seen to move.
function drawCards(matches) {
  const list = byId("matches");
  const before = new Map([...list.querySelectorAll("[data-id]")].map((card) => [card.dataset.id, card]));
  const places = new Map([...before].map(([id, card]) => [id, card.getBoundingClientRect()]));
  const focused = list.contains(document.activeElement) ? document.activeElement : null;
  const [focusedId, focusedClass] = [focused?.closest(".match")?.dataset.id, focused?.className];
  const likes = readLikes();
  const cards = matches.map((match) => {
    const card = drawCard(match, actions);
    card.classList.toggle("disliked", likes.get(match.item.item_id) === -1);
    const picture = before.get(match.item.item_id)?.querySelector(".tile img");
    if (picture) card.querySelector(".tile img").replaceWith(picture);
    return card;
  });
  list.replaceChildren(...cards);
  if (focused) {
    const card = cards.find(({ dataset }) => dataset.id === focusedId);
    const same = card && [...card.querySelectorAll("button, a")].find(({ className }) => className === focusedClass);
    (same ?? byId("results-title")).focus({ preventScroll: true });
  }
  if (matchMedia("(prefers-reduced-motion: reduce)").matches) return;
  const moves = cards.map((card) => [card, places.get(card.dataset.id), card.getBoundingClientRect()]);
  for (const [card, from, to] of moves) {
    if (to.top > innerHeight) continue;
    const shift = from ? `translate(${from.left - to.left}px, ${from.top - to.top}px)` : "translateY(0.5rem)";
    card.animate([{ transform: shift, opacity: from ? 1 : 0 }, {}], { duration: 260, easing: "ease-out" });
  }
}

// `keep`: what is shown stays below the line.
function showProblem(error, keep = false) {
  const problem = error instanceof Problem ? error : null;
  if (!problem) console.error(error);
  setState("done");
  byId("results").removeAttribute("aria-busy");
  byId("news").textContent = ""; // the problem announces itself
  byId("problem").textContent = capitalize(problem?.message ?? String(error));
  // Worth it where the request is not to blame.
  byId("retry").hidden = !problem || (problem.status > 0 && problem.status < 500 && problem.status !== 429);
  if (keep) return;
  shown = null;
  document.body.classList.add("failed"); // nothing to refine: the line, and the way on
  byId("again").hidden = !byId("retry").hidden || problem?.status === 401;
  byId("results-title").textContent = words.failed;
  byId("more").hidden = true;
  byId("note").hidden = true;
  byId("matches").replaceChildren();
}

function clearProblem() {
  document.body.classList.remove("failed");
  byId("problem").textContent = "";
  byId("retry").hidden = true;
  byId("again").hidden = true;
}

function showWishes() {
  const wishes = readWishes();
  shown = { matches: wishes.map((item) => ({ item })), cursor: null, query: {} };
  setState("wishes");
  document.title = `${words.wishes} – ${words.title}`;
  byId("results-title").textContent = words.wishes;
  clearProblem();
  byId("more").hidden = true;
  showNote(wishes.length ? words.wishesNote : words.wishesEmpty);
  drawCards(shown.matches);
  // Prices change and items go: the catalog has the last word.
  for (const { item_id } of wishes) {
    const card = () => byId("matches").querySelector(`[data-id="${CSS.escape(item_id)}"]`);
    getItem(item_id).then(
      (item) => state.wishes && card()?.replaceWith(drawCard({ item }, actions)),
      (error) => error.status === 404 && card()?.classList.add("gone"),
    );
  }
}

function showWishCount() {
  const { size } = new Set(readWishes());
  byId("wishes-link").textContent = size ? `${words.wishes} (${size})` : words.wishes;
}

// The query's picture as it is cropped, for the window that compares.
function copyPicture() {
  const picture = byId("query-picture");
  if (picture.hidden) return null;
  const [left, top, right, bottom] = state.box ?? [0, 0, 1, 1];
  const canvas = make("canvas", { role: "img", ariaLabel: picture.alt });
  canvas.width = Math.max(1, Math.round(picture.naturalWidth * (right - left)));
  canvas.height = Math.max(1, Math.round(picture.naturalHeight * (bottom - top)));
  canvas.getContext("2d").drawImage(picture, -left * picture.naturalWidth, -top * picture.naturalHeight);
  return canvas;
}

// What one can press

byId("say").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = byId("text").value.trim();
  if (!text) return;
  if (text === state.text) run();
  else open({ text });
  byId("results-title").focus({ preventScroll: true }); // a phone's keyboard makes room for the results
});

addEventListener("popstate", () => {
  photo = null;
  state = readState(location.hash);
  start();
});

byId("retry").addEventListener("click", () => (!refine ? begin() : photo ? searchPhoto(photo.file) : run()));
byId("again").addEventListener("click", () => byId("file").click());
byId("more").addEventListener("click", showMore);
byId("forget").addEventListener("click", () => {
  forgetLikes();
  arrange();
});
byId("skip").addEventListener("click", () =>
  byId(document.body.dataset.state === "start" ? "file" : "results-title").focus(),
);
byId("whole").addEventListener("click", () => {
  change({ box: null });
  byId("adjust").focus();
});
byId("query-picture").addEventListener("load", ({ target }) => {
  target.hidden = false;
  showCrop();
});
byId("query-picture").addEventListener("error", ({ target }) => {
  target.hidden = true; // what the browser cannot show leaves its place empty
  showCrop();
});
byId("adjust").addEventListener("click", () => {
  const on = byId("look").classList.toggle("adjusting");
  byId("adjust").setAttribute("aria-expanded", String(on));
  byId("adjust").textContent = on ? words.done : words.adjust;
  closeSheet();
  if (on) crop.area.focus({ preventScroll: true });
});

// On a phone what can be refined is a sheet over the lower half, so that the results are seen to follow.
function closeSheet() {
  document.body.classList.remove("refining");
  byId("open-refine").setAttribute("aria-expanded", "false");
}

byId("open-refine").addEventListener("click", () => {
  const on = document.body.classList.toggle("refining");
  byId("open-refine").setAttribute("aria-expanded", String(on));
  if (!on) return;
  byId("close-refine").focus();
  const bar = document.querySelector(".query").offsetHeight;
  scrollTo({ top: byId("matches").getBoundingClientRect().top + scrollY - bar - 8 });
});
byId("close-refine").addEventListener("click", () => {
  closeSheet();
  byId("open-refine").focus();
});
byId("refine").addEventListener("keydown", ({ key }) => {
  if (key === "Escape" && document.body.classList.contains("refining")) byId("close-refine").click();
});

const crop = new Crop(byId("look"), (box, settled) => {
  change({ box }, { wait: true });
  const [left, top, right, bottom] = crop.box;
  if (settled)
    byId("news").textContent = words.cropSaid(Math.round(100 * (right - left)), Math.round(100 * (bottom - top)));
});

// A click beside the window closes it.
byId("why").addEventListener("click", (event) => {
  if (event.target === byId("why")) byId("why").close();
});

async function begin() {
  try {
    catalog = await getCatalog();
  } catch (error) {
    setState("done");
    showProblem(error);
    return;
  }
  byId("count").textContent = words.items(catalog.items);
  byId("say").hidden = !catalog.text;
  refine = new Refine(catalog, change);
  state = readState(location.hash);
  const shared = await takeShared();
  if (shared) return searchPhoto(shared);
  start();
  if (document.body.dataset.state === "start") refine.load(state); // so that it is there before the results are
}

fillWords();
byId("text").placeholder = words.sayHint;
takePhotos(searchPhoto);
byId("pick").textContent = words.choose;
showWishCount();
if (location.protocol === "https:" && "serviceWorker" in navigator) navigator.serviceWorker.register("/sw.js");
begin();
