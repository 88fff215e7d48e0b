// Elements and icons. Text goes in as text only, never as markup.

export const byId = (id) => document.getElementById(id);

export function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in element) element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child != null));
  return element;
}

const ICONS = {
  heart: "M12 20S3.5 15 3.5 9A4.5 4.5 0 0 1 12 7a4.5 4.5 0 0 1 8.5 2c0 6-8.5 11-8.5 11z",
  like: "M7.5 10.5v9h-3v-9zm0 0 4-7c1.5 0 2.4 1 2 2.7l-.8 3.3h5.8c1 0 1.7 1 1.4 2l-1.9 6.5c-.2.9-1 1.5-1.9 1.5h-8.6",
  dislike: "M16.5 13.5v-9h3v9zm0 0-4 7c-1.5 0-2.4-1-2-2.7l.8-3.3H5.5c-1 0-1.7-1-1.4-2L6 6c.2-.9 1-1.5 1.9-1.5h8.6",
  close: "M6 6l12 12M18 6 6 18",
};

export function makeIcon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  svg.classList.add("icon");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  return svg;
}

export function makeButton(className, text, onClick, properties = {}) {
  return make("button", { type: "button", className, onclick: onClick, ...properties }, text);
}

// A catalog's links are not to be trusted: only the web's own two schemes become one.
export const isLink = (url) => /^https?:\/\//i.test(url ?? "");

export const nameOf = (item) => item.title || item.item_id;

export const thumbnailOf = (itemId) => `/v1/items/${encodeURIComponent(itemId)}/thumbnail`;
