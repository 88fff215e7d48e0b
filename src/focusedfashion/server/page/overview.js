// What the catalog holds: its size, colors, labels and columns, and what was left out with the reasons.

import { getCatalog, getFacets, getFailures } from "./api.js";
import { swatchOf } from "./colors.js";
import { byId, make } from "./dom.js";
import { capitalize, fillWords, formatNumber, formatTime, nameColumn, words } from "./words.js";

const SHOWN = 8; // values of a group
const MOST_VALUES = 80; // a column with more different ones is a name or a number
const AT_ONCE = 20; // columns of one question; the server takes no more
const HIDDEN = new Set(["item_id", "product_id", "title", "image", "url", "currency"]);
const TIMES = new Set(["time", "date"]);

function drawFacts(catalog) {
  const facts = {
    items: formatNumber(catalog.items),
    products: formatNumber(catalog.products),
    failed: formatNumber(catalog.failed),
    encoder: catalog.encoder,
    indexed: formatTime(catalog.indexed),
  };
  byId("facts").append(
    ...Object.entries(facts).map(([name, value]) =>
      make("div", {}, make("dt", {}, words.overviewFacts[name]), make("dd", {}, value)),
    ),
  );
}

function drawColors(values) {
  const known = values.filter(({ value, count }) => count && swatchOf(value));
  if (!known.length) return;
  byId("colors").hidden = false;
  for (const { value, count } of known) {
    const part = make("span");
    part.style.background = swatchOf(value);
    part.style.flexGrow = count;
    byId("stripe").append(part);
  }
  byId("legend").append(
    ...known.map(({ value, count }) => {
      const sample = make("span", { className: "dot" });
      sample.style.background = swatchOf(value);
      return make("span", {}, sample, value, " ", make("small", {}, formatNumber(count)));
    }),
  );
}

function drawGroup(name, { values, min, max }) {
  if (!values)
    return make("div", {}, make("h3", {}, name), make("p", {}, `${formatNumber(min)} – ${formatNumber(max)}`));
  const shown = values.filter(({ count }) => count);
  const most = shown[0]?.count ?? 1;
  const rows = (listed) =>
    listed.map(({ value, count }) => {
      const bar = make("span", { className: "bar" });
      bar.style.setProperty("--share", count / most);
      return make(
        "div",
        {},
        make("dt", { dir: "auto" }, capitalize(String(value))),
        make("dd", {}, bar, make("span", {}, formatNumber(count))),
      );
    });
  const list = make("dl", {}, ...rows(shown.slice(0, SHOWN)));
  const group = make("div", {}, make("h3", {}, name), shown.length ? list : make("p", {}, words.noMatter));
  if (shown.length > SHOWN) {
    const all = make("button", { type: "button", className: "link" }, words.showAll(shown.length));
    all.addEventListener("click", () => {
      list.append(...rows(shown.slice(SHOWN)));
      all.remove();
    });
    group.append(all);
  }
  return group;
}

function drawGroups(id, columns, facets) {
  const groups = columns.filter((column) => facets[column]?.distinct <= MOST_VALUES || facets[column]?.min != null);
  if (!groups.length) return;
  byId(id).hidden = false;
  byId(id)
    .querySelector(".groups")
    .append(...groups.map((column) => drawGroup(nameColumn(column), facets[column])));
}

function drawFailures(failures, total) {
  byId("failures").hidden = false;
  if (!failures.length) return byId("ledger").append(make("p", {}, words.overviewNoFailures));
  const { item, step, reason } = words.overviewFailure;
  const head = make("tr", {}, ...[item, step, reason].map((text) => make("th", { scope: "col" }, text)));
  const rows = failures.map((failure) =>
    make(
      "tr",
      {},
      ...[failure.item_id, failure.step, failure.reason].map((text) => make("td", { dir: "auto" }, text ?? "")),
    ),
  );
  byId("ledger").append(make("table", {}, make("thead", {}, head), make("tbody", {}, ...rows)));
  if (failures.length < total)
    byId("ledger").append(make("p", { className: "note" }, words.overviewMore(total - failures.length)));
}

fillWords();
try {
  const [catalog, ledger] = await Promise.all([getCatalog(), getFailures()]);
  drawFacts(catalog);
  const groups = Object.keys(catalog.labels).map((group) => `attributes.${group}`);
  const columns = catalog.columns
    .filter(({ name, type }) => !HIDDEN.has(name) && !TIMES.has(type) && !groups.includes(name))
    .map(({ name }) => name);
  const facets = {};
  const all = [...groups, ...columns];
  for (let place = 0; place < all.length; place += AT_ONCE) {
    Object.assign(facets, (await getFacets(all.slice(place, place + AT_ONCE), [])).facets);
  }
  drawColors(facets["attributes.color"]?.values ?? []);
  drawGroups(
    "labels",
    groups.filter((group) => group !== "attributes.color"),
    facets,
  );
  drawGroups("columns", columns, facets);
  drawFailures(ledger.failures, ledger.total);
} catch (error) {
  byId("problem").textContent = capitalize(error.message);
}
