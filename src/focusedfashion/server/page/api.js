// The server's routes that the page uses, and what goes wrong with them.

import { words } from "./words.js";

export class Problem extends Error {
  constructor(message, status) {
    super(message);
    this.status = status; // 0 where the server did not answer at all
  }
}

async function ask(path, options = {}) {
  let response;
  try {
    response = await fetch(path, { credentials: "same-origin", ...options });
  } catch (error) {
    if (options.signal?.aborted) throw error;
    throw new Problem(words.lost, 0);
  }
  const answer = await response.json().catch(() => ({}));
  if (response.ok) return answer;
  throw new Problem(
    response.status === 401 ? words.locked : (answer.detail ?? words.answered(response.status)),
    response.status,
  );
}

const sendJson = (path, body, signal) =>
  ask(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body), signal });

export const getCatalog = () => ask("/v1/catalog");

export const getItem = (itemId) => ask(`/v1/items/${encodeURIComponent(itemId)}`);

export const getFailures = () => ask("/v1/failures");

export const getSimilar = (itemId, k) => ask(`/v1/items/${encodeURIComponent(itemId)}/similar?k=${k}`);

// A photo -> {image_id, width, height, attributes}; the server keeps it for ten minutes.
export function sendPhoto(blob, signal) {
  const form = new FormData();
  form.set("image", blob, "photo");
  return ask("/v1/images", { method: "POST", body: form, signal });
}

// `subject` is {image_id}, {item_id} or {text}.
export const search = (subject, query, signal) => sendJson("/v1/search", { ...subject, ...query }, signal);

export function getFacets(columns, filters, signal) {
  const asked = new URLSearchParams({ columns: columns.join(",") });
  if (filters.length) asked.set("filters", JSON.stringify(filters));
  return ask(`/v1/facets?${asked}`, { signal });
}
