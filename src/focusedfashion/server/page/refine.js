// What a person can set besides the picture: weights, another color, filters with counts, the order.

import { getFacets } from "./api.js";
import { swatchOf } from "./colors.js";
import { byId, make, makeButton, makeIcon } from "./dom.js";
import { listFilters, makeState } from "./state.js";
import { capitalize, formatNumber, nameColumn, words } from "./words.js";

const WEIGHTS = [0, 0.25, 0.5, 1, 2, 4, 8]; // of the slider's positions, as factors of a block's usual weight
const USUAL = 3; // the position of 1
const SHOWN = 7; // values of a facet before "show all"
const MOST_VALUES = 80; // a column with more different ones is a name or a number, and no choice
const AT_ONCE = 20; // columns of one question; the server takes no more
const OPEN = 3; // facets that are unfolded at first, on a wide screen
// Columns that tell items apart in place of grouping them.
const NO_FACETS = new Set(["item_id", "product_id", "title", "image", "url", "currency"]);

// The server's kinds of columns that can be chosen from; times and dates are not.
const RANGES = new Set(["number", "whole number"]);
const CHOICES = new Set(["text", "list", "true or false"]);

export class Refine {
  // `change(parts, options)` brings a change into the state; `catalog` is the answer of /v1/catalog.
  constructor(catalog, change) {
    this.change = change;
    this.blocks = Object.keys(catalog.blocks);
    this.kinds = Object.fromEntries(catalog.columns.map(({ name, type }) => [name, type]));
    const groups = Object.keys(catalog.labels).map((group) => `attributes.${group}`);
    const own = catalog.columns.filter(
      ({ name, type }) => !NO_FACETS.has(name) && (RANGES.has(type) || CHOICES.has(type)),
    );
    this.columns = [...new Set([...own.map(({ name }) => name), ...groups])];
    this.state = makeState();
    this.useful = null; // the columns worth a facet, once the server has counted them
    this.counted = new Map(); // filters as JSON -> what the server counted under them
    this.facets = new Map(); // column -> its part of the page
    this.sliders = new Map();
    this.request = new AbortController();
    this.#drawSliders();
    byId("balance").addEventListener("click", () => change({ focus: {} }));
    byId("clear").addEventListener("click", () => change({ picks: {}, ranges: {}, color: "" }, { push: true }));
    const sort = byId("sort");
    sort.append(...Object.entries(words.sorts).map(([value, textContent]) => make("option", { value, textContent })));
    if (!("price" in this.kinds)) sort.closest("label").hidden = true;
    sort.addEventListener("change", () => change({ sort: sort.value }, { push: true }));
  }

  // Weights

  #drawSliders() {
    byId("matters").hidden = this.blocks.length < 2;
    for (const block of this.blocks) {
      const output = make("output");
      const input = make("input", { type: "range", min: 0, max: WEIGHTS.length - 1, step: 1, value: USUAL });
      input.addEventListener("input", () => {
        const focus = Object.fromEntries(
          [...this.sliders]
            .map(([name, slider]) => [name, WEIGHTS[slider.input.value]])
            .filter(([, weight]) => weight !== 1),
        );
        // At least one block has to count.
        if (this.blocks.every((name) => focus[name] === 0)) delete focus[block];
        this.#showWeight(block, input.value);
        this.change({ focus }, { wait: true });
      });
      this.sliders.set(block, { input, output });
      byId("sliders").append(
        make("label", { className: "slider" }, make("span", {}, nameColumn(block)), input, output),
      );
    }
  }

  #showWeight(block, position) {
    const { input, output } = this.sliders.get(block);
    input.value = position;
    output.textContent = words.weights[position];
    input.setAttribute("aria-valuetext", words.weights[position]);
  }

  // Whatever is clicked changes the state as it is then, not as it was when the click's target was drawn.
  show(state) {
    this.state = state;
    for (const [block, { input }] of this.sliders) {
      const off = block === "color" && Boolean(state.color); // another color is wanted: this one cannot count
      const weight = off ? 0 : (state.focus[block] ?? 1);
      const position = WEIGHTS.findIndex((factor) => factor >= weight);
      this.#showWeight(block, position < 0 ? WEIGHTS.length - 1 : position);
      input.disabled = off;
    }
    byId("balance").hidden = !Object.keys(state.focus).length;
    byId("sort").value = state.sort;
    for (const swatch of byId("swatches").children) swatch.ariaPressed = String(swatch.dataset.key === state.color);
    this.#showChips(state);
  }

  #showChips(state) {
    const chip = (text, parts) => {
      const button = makeButton("chip", text, () => this.change(parts, { push: true }), {
        ariaLabel: words.remove(text),
      });
      button.append(makeIcon("close"));
      return button;
    };
    const without = (things, column) => Object.fromEntries(Object.entries(things).filter(([name]) => name !== column));
    const chips = [];
    if (state.color) chips.push(chip(capitalize(state.color), { color: "" }));
    for (const [column, values] of Object.entries(state.picks)) {
      for (const value of values) {
        const others = values.filter((other) => other !== value);
        const picks = others.length ? { ...state.picks, [column]: others } : without(state.picks, column);
        chips.push(chip(capitalize(value), { picks }));
      }
    }
    for (const [column, ends] of Object.entries(state.ranges)) {
      const [low, high] = ends.map((end) => (end == null ? "" : formatNumber(end)));
      chips.push(chip(words.between(nameColumn(column), low, high), { ranges: without(state.ranges, column) }));
    }
    byId("chips").replaceChildren(...chips);
    byId("clear").hidden = !chips.length;
    byId("chosen").hidden = !chips.length;
    byId("open-refine").textContent = chips.length ? words.refineCount(chips.length) : words.refine;
  }

  // Facets: how many products there are with each value. What is chosen in a column does not narrow that column.

  async load(state) {
    this.request.abort();
    this.request = new AbortController();
    const { signal } = this.request;
    try {
      if (!this.useful) await this.#chooseColumns();
      if (!this.useful.length) return;
      const filters = listFilters(state, this.kinds);
      const key = JSON.stringify(filters);
      if (!this.counted.has(key)) this.counted.set(key, (await getFacets(this.useful, filters, signal)).facets);
      if (!signal.aborted) this.#draw(this.counted.get(key), this.state);
    } catch {
      if (!signal.aborted) byId("filters").hidden = true; // the search itself says what is wrong
    }
  }

  async #chooseColumns() {
    const all = {};
    this.counted.set("[]", all);
    for (let place = 0; place < this.columns.length; place += AT_ONCE) {
      Object.assign(all, (await getFacets(this.columns.slice(place, place + AT_ONCE), [])).facets);
    }
    this.useful = this.columns.filter((column) => {
      const { values, distinct, min, max } = all[column];
      return values ? distinct > 1 && distinct <= MOST_VALUES : min != null && min < max;
    });
    // A column of the catalog is surer than the encoder's group of the same name.
    const named = (column) => nameColumn(column).toLowerCase();
    const own = new Set(this.useful.filter((column) => !column.startsWith("attributes.")).map(named));
    this.useful = this.useful.filter(
      (column) => !column.startsWith("attributes.") || column === "attributes.color" || !own.has(named(column)),
    );
    const first = ["attributes.color", "price", "brand", "attributes.category"];
    const rank = (column) => (first.includes(column) ? first.indexOf(column) : first.length);
    this.useful.sort((one, other) => rank(one) - rank(other));
  }

  #draw(facets, state) {
    this.#drawSwatches(facets["attributes.color"]?.values ?? [], state);
    byId("filters").hidden = false;
    let place = 0;
    for (const column of this.useful) {
      if (column === "attributes.color" || !facets[column]) continue;
      if (!this.facets.has(column)) {
        const open = place < OPEN && matchMedia("(min-width: 75rem)").matches;
        const details = make(
          "details",
          { className: "facet", open },
          make("summary", {}, nameColumn(column)),
          make("div", { className: "choices" }),
        );
        this.facets.set(column, { details, all: false });
        byId("facets").append(details);
      }
      place += 1;
      const facet = this.facets.get(column);
      const focused = facet.details.contains(document.activeElement) ? document.activeElement.dataset.key : "";
      const body = facet.details.lastElementChild;
      if (facets[column].values) this.#drawChoices(body, column, facets[column].values, state, facet);
      else this.#drawRange(body, column, facets[column], state);
      if (focused) [...body.querySelectorAll("[data-key]")].find(({ dataset }) => dataset.key === focused)?.focus();
    }
  }

  #drawSwatches(values, state) {
    const counted = values.filter(({ value, count }) => count || value === state.color);
    byId("swatch-row").hidden = counted.length < 2;
    const swatches = counted.map(({ value, count }) => {
      const look = swatchOf(value);
      const swatch = makeButton(
        look ? "swatch" : "chip",
        look ? "" : value,
        () => this.change({ color: this.state.color === value ? "" : value }, { push: true }),
        {
          ariaLabel: words.swatch(value, count),
          ariaPressed: String(state.color === value),
          title: words.swatch(value, count),
        },
      );
      if (look) swatch.style.background = look;
      swatch.dataset.key = value;
      return swatch;
    });
    const row = byId("swatches");
    const focused = row.contains(document.activeElement) ? document.activeElement.dataset.key : "";
    const { scrollLeft } = row;
    row.replaceChildren(...swatches);
    row.scrollLeft = scrollLeft;
    if (focused) swatches.find(({ dataset }) => dataset.key === focused)?.focus({ preventScroll: true });
  }

  #drawChoices(body, column, values, state, facet) {
    const picked = state.picks[column] ?? [];
    const known = values.map(({ value, count }) => [String(value), count]);
    const missing = picked.filter((value) => !known.some(([name]) => name === value)).map((value) => [value, 0]);
    const rows = [...missing, ...known];
    const shown = rows.filter(([value], place) => facet.all || place < SHOWN || picked.includes(value));
    const choices = shown.map(([value, count]) => {
      const input = make("input", { type: "checkbox", checked: picked.includes(value) });
      input.dataset.key = value;
      input.addEventListener("change", () => {
        const { [column]: before = [], ...others } = this.state.picks;
        const chosen = input.checked ? [...before, value] : before.filter((other) => other !== value);
        this.change({ picks: chosen.length ? { ...others, [column]: chosen } : others }, { push: true });
      });
      return make(
        "label",
        { className: "choice" },
        input,
        make("span", { dir: "auto" }, capitalize(value)),
        make("small", {}, formatNumber(count)),
      );
    });
    body.replaceChildren(...choices);
    if (shown.length < rows.length) {
      const showAll = () => {
        facet.all = true;
        this.#drawChoices(body, column, values, this.state, facet);
        body.querySelectorAll("input")[SHOWN]?.focus();
      };
      body.append(makeButton("link", words.showAll(rows.length), showAll));
    }
  }

  #drawRange(body, column, { min, max }, state) {
    const [low, high] = state.ranges[column] ?? [null, null];
    const name = nameColumn(column);
    const field = (label, key, value, hint) => {
      const input = make("input", {
        type: "number",
        inputMode: "decimal",
        value: value ?? "",
        placeholder: hint,
        ariaLabel: label,
        step: "any",
      });
      input.dataset.key = key;
      return input;
    };
    const rounded = [Math.floor(min ?? 0), Math.ceil(max ?? 0)].map(String);
    const from = field(words.least(name), "from", low, rounded[0]);
    const to = field(words.most(name), "to", high, rounded[1]);
    const set = () => {
      const ends = [from, to].map((input) =>
        input.value === "" || !Number.isFinite(input.valueAsNumber) ? null : input.valueAsNumber,
      );
      const { [column]: _, ...others } = this.state.ranges;
      this.change({ ranges: ends.some((end) => end != null) ? { ...others, [column]: ends } : others }, { push: true });
    };
    from.addEventListener("change", set);
    to.addEventListener("change", set);
    body.replaceChildren(make("div", { className: "range" }, from, make("span", { ariaHidden: "true" }, "–"), to));
  }
}
