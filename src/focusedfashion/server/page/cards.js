// A product as a card, and the window that says why it is there.

import { search } from "./api.js";
import { byId, isLink, make, makeButton, makeIcon, nameOf, thumbnailOf } from "./dom.js";
import { hasWish, readLikes, setLike, setWish } from "./memory.js";
import { capitalize, formatNumber, formatPrice, formatScore, nameColumn, words } from "./words.js";

const MOST_VARIANTS = 12;

// `actions` has similar(item), why(match), taste() and wished(), called after something was changed.
export function drawCard(match, actions) {
  const { item } = match;
  const name = nameOf(item);
  const card = make("li", { className: "match" });
  card.dataset.id = item.item_id;
  const tile = make(
    "button",
    { type: "button", className: "tile", ariaLabel: words.whyThis(name), onclick: () => actions.why(match) },
    drawPicture(item, name),
  );
  if (match.variants > 1) tile.append(make("span", { className: "views" }, words.variants(match.variants - 1)));
  card.append(
    make("div", { className: "stage" }, tile, drawWish(item, actions)),
    make(
      "div",
      { className: "words" },
      make("p", { className: "brand", dir: "auto" }, item.brand ?? ""),
      make("h3", { className: "title", dir: "auto" }, linkTo(item, name)),
      make("p", { className: "price" }, formatPrice(item.price, item.currency)),
    ),
  );
  if (match.score != null) card.append(drawScore(match, actions));
  const similar = makeButton("link similar", words.moreLikeThis, () => actions.similar(item), {
    ariaLabel: `${words.moreLikeThis}: ${name}`,
  });
  card.append(make("div", { className: "acts" }, similar, match.score == null ? null : drawTaste(item, actions)));
  return card;
}

export function drawBlank() {
  const card = make("li", { className: "match blank", ariaHidden: "true" });
  card.append(
    make("div", { className: "stage" }, make("div", { className: "tile" })),
    make("div", { className: "words" }),
  );
  return card;
}

function drawPicture(item, name) {
  const picture = make("img", { alt: name, loading: "lazy", decoding: "async", width: 240, height: 320 });
  picture.addEventListener("error", () => picture.remove(), { once: true });
  // Nearly 3:4: filling the tile cuts off less than a tenth, and leaves no slivers beside the picture.
  picture.addEventListener("load", () => {
    const ratio = picture.naturalWidth / picture.naturalHeight / 0.75;
    picture.classList.toggle("snug", Math.abs(Math.log(ratio)) < 0.1);
  });
  picture.src = thumbnailOf(item.item_id);
  return picture;
}

function linkTo(item, name) {
  if (!isLink(item.url)) return name;
  return make("a", { href: item.url, target: "_blank", rel: "noopener noreferrer" }, name);
}

function drawScore(match, actions) {
  return make(
    "button",
    {
      type: "button",
      className: "score",
      ariaLabel: `${sayScore(match)}. ${words.whyThis(nameOf(match.item))}`,
      onclick: () => actions.why(match),
    },
    ...drawCloseness(match),
    make("span", { className: "asks" }, words.why),
  );
}

// The server has no words for the scores of a text: between words and pictures even good ones are low.
const wordOf = (match) => words.closeness[match.words] ?? capitalize(match.words ?? "");

export const sayScore = (match) => `${wordOf(match)} ${formatScore(match.score)}`.trim();

const drawCloseness = (match) => [
  match.words ? make("em", {}, wordOf(match)) : null,
  make("span", {}, formatScore(match.score)),
];

function drawWish(item, actions) {
  const button = makeToggle("wish", "heart", words.wish(nameOf(item)), hasWish(item.item_id), (on) => {
    setWish(item, on);
    actions.wished();
  });
  return button;
}

function drawTaste(item, actions) {
  const set = (value) => (on) => {
    setLike(item.item_id, on ? value : 0);
    actions.taste();
  };
  const liked = readLikes().get(item.item_id);
  return make(
    "span",
    { className: "taste" },
    makeToggle("like", "like", words.like(nameOf(item)), liked === 1, set(1)),
    makeToggle("dislike", "dislike", words.dislike(nameOf(item)), liked === -1, set(-1)),
  );
}

function makeToggle(className, icon, label, on, set) {
  const button = make(
    "button",
    { type: "button", className: `toggle ${className}`, ariaLabel: label, ariaPressed: String(on), title: label },
    makeIcon(icon),
  );
  button.addEventListener("click", () => {
    const pressed = button.ariaPressed !== "true";
    button.ariaPressed = String(pressed);
    set(pressed);
  });
  return button;
}

// Why this one

// `query` is {picture, subject, filters}: what was searched by, to be shown beside and to find the variants with.
export function openWhy(match, query, actions) {
  const { item } = match;
  const dialog = byId("why");
  const close = () => dialog.close();
  const part = (title, ...children) => make("section", {}, make("h3", {}, title), ...children);
  const closer = makeButton("toggle close", "", close, { ariaLabel: words.close });
  closer.append(makeIcon("close"));
  const variants = make("section", { hidden: true });
  const { shared = [], different = [], colors } = match.why ?? {};
  dialog.replaceChildren(
    make("header", {}, make("h2", { id: "why-title" }, words.whyTitle), closer),
    make(
      "div",
      { className: "pair" },
      query.picture ? make("figure", {}, query.picture) : null,
      make("figure", {}, drawPicture(item, nameOf(item))),
    ),
    make(
      "div",
      { className: "words" },
      make("p", { className: "brand", dir: "auto" }, item.brand ?? ""),
      make("p", { className: "title", dir: "auto" }, nameOf(item)),
      make("p", { className: "price" }, formatPrice(item.price, item.currency)),
      isLink(item.url)
        ? make("a", { className: "button", href: item.url, target: "_blank", rel: "noopener noreferrer" }, words.shop)
        : null,
      makeButton("link", words.moreLikeThis, () => {
        close();
        actions.similar(item);
      }),
    ),
    match.score == null
      ? ""
      : part(
          words.score,
          make("p", { className: "score" }, ...drawCloseness(match)),
          drawBlocks(match.blocks),
          make("p", { className: "note" }, match.words ? words.scoreNote : words.scoreNoteText),
        ),
    colors ? part(words.colorsTitle, drawColors(colors)) : "",
    shared.length
      ? part(
          words.shared,
          make("p", { className: "labels" }, ...shared.map(({ group, label }) => drawLabel(group, label))),
        )
      : "",
    different.length ? part(words.different, drawDifferent(different)) : "",
    variants,
  );
  dialog.showModal();
  if (match.variants > 1) showVariants(variants, match, query, actions);
}

function drawBlocks(blocks) {
  const rows = Object.entries(blocks ?? {}).map(([block, cosine]) => {
    const bar = make("span", { className: "bar" });
    bar.style.setProperty("--share", Math.max(0, cosine));
    return make(
      "div",
      {},
      make("dt", {}, nameColumn(block)),
      make("dd", {}, bar, make("span", {}, formatScore(cosine))),
    );
  });
  return make("dl", { className: "blocks" }, ...rows);
}

function drawColors({ query, item, distance }) {
  const square = (color, name) => {
    const sample = make("span", { className: "sample" });
    sample.style.background = color;
    return make("span", {}, sample, name);
  };
  const word = words.colorDistance.find(([most]) => distance < most)?.[1] ?? "";
  return make(
    "p",
    { className: "colors" },
    square(query, words.colorYours),
    square(item, words.colorIts),
    make("span", {}, make("em", {}, word), " ", words.distance(formatNumber(Math.round(distance * 10) / 10))),
  );
}

const drawLabel = (group, label) => make("span", { className: "label" }, make("small", {}, nameColumn(group)), label);

const drawDifferent = (different) =>
  make(
    "dl",
    { className: "different" },
    ...different.map(({ group, query, item }) =>
      make("div", {}, make("dt", {}, nameColumn(group)), make("dd", {}, `${sayLabels(query)} → ${sayLabels(item)}`)),
    ),
  );

const sayLabels = (labels) => [labels ?? []].flat().join(", ") || "–";

async function showVariants(section, match, { subject, filters }, actions) {
  const product = { column: "product_id", op: "=", value: match.item.product_id };
  const answer = await search(subject, { k: MOST_VARIANTS, filters: [...filters, product], collapse: false }).catch(
    () => null,
  );
  const others = (answer?.matches ?? []).filter(({ item }) => item.item_id !== match.item.item_id);
  if (!others.length) return;
  const drawn = others.map(({ item }) =>
    make(
      "button",
      {
        type: "button",
        ariaLabel: `${words.moreLikeThis}: ${nameOf(item)}`,
        title: nameOf(item),
        onclick: () => {
          byId("why").close();
          actions.similar(item);
        },
      },
      drawPicture(item, nameOf(item)),
    ),
  );
  section.append(make("h3", {}, words.variantsTitle), make("div", { className: "variants" }, ...drawn));
  section.hidden = false;
}
