// A search as the address has it:
// #item=17 or #text=navy+checked+shirt or #image=…, then &color=red&in.brand=Acme&price=10..50&focus=shape:2&box=0.1,0,0.9,1&sort=price
//
// {item, text, image, box, focus: {block: weight}, color, picks: {column: [value, …]}, ranges: {column: [low, high]}, sort,
// wishes}; what is not set is "", null or {}. `image` names a photo that the server keeps for some minutes.

export const makeState = (parts = {}) => ({
  item: "",
  text: "",
  image: "",
  box: null,
  focus: {},
  color: "",
  picks: {},
  ranges: {},
  sort: "score",
  wishes: false,
  ...parts,
});

export function readState(hash) {
  const state = makeState();
  for (const [key, value] of new URLSearchParams(hash.replace(/^#/, ""))) {
    if (["item", "text", "image", "color", "sort"].includes(key)) state[key] = value;
    else if (key === "wishes") state.wishes = true;
    else if (key === "box") state.box = readBox(value);
    else if (key === "focus") state.focus = readFocus(value);
    else if (key.startsWith("in.")) (state.picks[key.slice(3)] ??= []).push(value);
    else if (key.startsWith("range."))
      state.ranges[key.slice(6)] = value.split("..").map((end) => (end === "" ? null : Number(end)));
  }
  return state;
}

function readBox(text) {
  const box = text.split(",").map(Number);
  const fits = box.length === 4 && box.every((edge) => edge >= 0 && edge <= 1) && box[0] < box[2] && box[1] < box[3];
  return fits ? box : null;
}

function readFocus(text) {
  const pairs = text.split(",").map((pair) => pair.split(":"));
  return Object.fromEntries(
    pairs.filter(([block, weight]) => block && weight >= 0).map(([block, weight]) => [block, Number(weight)]),
  );
}

export function writeState(state) {
  const hash = new URLSearchParams();
  if (state.wishes) hash.set("wishes", "");
  for (const key of ["item", "text", "image", "color"]) if (state[key]) hash.set(key, state[key]);
  if (state.box) hash.set("box", state.box.map((edge) => Number(edge.toFixed(4))).join(","));
  const focus = Object.entries(state.focus).map((pair) => pair.join(":"));
  if (focus.length) hash.set("focus", focus.join(","));
  for (const [column, values] of Object.entries(state.picks))
    for (const value of values) hash.append(`in.${column}`, value);
  for (const [column, ends] of Object.entries(state.ranges))
    hash.set(`range.${column}`, ends.map((end) => end ?? "").join(".."));
  if (state.sort !== "score") hash.set("sort", state.sort);
  const text = hash.toString();
  return text ? `#${text}` : "";
}

// The filters of a state as the server takes them; `kinds` maps columns to the server's kinds.
export function listFilters(state, kinds) {
  const filters = [];
  if (state.color) filters.push({ column: "attributes.color", op: "contains", value: state.color });
  for (const [column, values] of Object.entries(state.picks)) {
    if (column.startsWith("attributes.") || kinds[column] === "list") {
      filters.push({ any: values.map((value) => ({ column, op: "contains", value })) });
    } else {
      const truth = kinds[column] === "true or false";
      filters.push({ column, op: "in", value: truth ? values.map((value) => value === "true") : values });
    }
  }
  for (const [column, [low, high]] of Object.entries(state.ranges)) {
    if (low != null) filters.push({ column, op: ">=", value: low });
    if (high != null) filters.push({ column, op: "<=", value: high });
  }
  return filters;
}

// What the server's search is told of a state. The garment in another color: whatever is liked of it but the color.
export function toQuery(state, kinds, weights) {
  const focus = Object.fromEntries(
    Object.entries(state.focus).map(([block, weight]) => [block, weight * (weights[block] ?? 1)]),
  );
  if (state.color && "color" in weights) focus.color = 0;
  const query = { collapse: true, filters: listFilters(state, kinds) };
  if (Object.keys(focus).length) query.focus = focus;
  if (state.box) query.box = state.box;
  if (state.sort !== "score") query.sort = state.sort;
  return query;
}

export const countFilters = (state) =>
  (state.color ? 1 : 0) + Object.values(state.picks).flat().length + Object.keys(state.ranges).length;
