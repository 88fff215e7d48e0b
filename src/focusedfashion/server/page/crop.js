// The part of the query's picture that is looked at: a box with four corners, by mouse, touch or keys.

import { make } from "./dom.js";
import { words } from "./words.js";

const LEAST = 0.08; // of a side; a smaller part has too few pixels to be looked at
const STEP = 0.02;
const WHOLE = [0, 0, 1, 1];
const CORNERS = [
  [0, 1],
  [2, 1],
  [0, 3],
  [2, 3],
]; // which edges of [left, top, right, bottom] a corner moves

const clamp = (value, low, high) => Math.min(high, Math.max(low, value));

const isWhole = (box) => box.every((edge, place) => Math.abs(edge - WHOLE[place]) < 0.005);

// `host` is as large as the picture in it. `tell(box or null, settled)` is called for every change.
export class Crop {
  constructor(host, tell) {
    this.host = host;
    this.tell = tell;
    this.box = WHOLE;
    this.area = make("div", { className: "crop", role: "group", tabIndex: 0, ariaLabel: words.crop });
    this.handles = CORNERS.map((edges, place) =>
      make("button", { type: "button", className: "handle", ariaLabel: words.cropHandle(words.cropHandles[place]) }),
    );
    this.area.append(...this.handles);
    host.append(this.area);
    this.handles.forEach((handle, place) => {
      handle.addEventListener("pointerdown", (event) => this.#drag(event, CORNERS[place]));
      handle.addEventListener("keydown", (event) => this.#press(event, CORNERS[place]));
    });
    this.area.addEventListener("keydown", (event) => this.#press(event, [0, 1, 2, 3]));
    host.addEventListener("pointerdown", (event) => {
      const inside = this.area.contains(event.target);
      // In a box that is the whole picture there is nothing to move: a drag draws a new one.
      if (inside && !isWhole(this.box)) this.#drag(event, [0, 1, 2, 3]);
      else this.#draw(event);
    });
    this.show(null);
  }

  show(box) {
    this.box = box ?? WHOLE;
    const [left, top, right, bottom] = this.box.map((edge) => `${edge * 100}%`);
    const { style } = this.area;
    Object.assign(style, { left, top, width: `calc(${right} - ${left})`, height: `calc(${bottom} - ${top})` });
    this.host.classList.toggle("cropped", !isWhole(this.box));
  }

  #place({ clientX, clientY }) {
    const { left, top, width, height } = this.host.getBoundingClientRect();
    return [clamp((clientX - left) / width, 0, 1), clamp((clientY - top) / height, 0, 1)];
  }

  #follow(event, change) {
    if (event.button) return; // the main button or a finger only
    event.preventDefault();
    event.stopPropagation();
    const { target, pointerId } = event;
    target.setPointerCapture(pointerId);
    const before = this.box;
    const move = (moved) => this.#set(change(this.#place(moved)), false);
    const end = (ended) => {
      target.removeEventListener("pointermove", move);
      target.removeEventListener("pointerup", end);
      target.removeEventListener("pointercancel", end);
      if (ended.type === "pointercancel") this.#set(before, true);
      else if (this.box !== before) this.#set(this.box, true);
    };
    target.addEventListener("pointermove", move);
    target.addEventListener("pointerup", end);
    target.addEventListener("pointercancel", end);
  }

  #drag(event, edges) {
    const [startX, startY] = this.#place(event);
    const before = this.box;
    this.#follow(event, ([x, y]) => shift(before, edges, x - startX, y - startY));
    event.target.focus({ preventScroll: true });
  }

  #draw(event) {
    const [startX, startY] = this.#place(event);
    this.#follow(event, ([x, y]) => {
      const box = [Math.min(startX, x), Math.min(startY, y), Math.max(startX, x), Math.max(startY, y)];
      return box[2] - box[0] < LEAST || box[3] - box[1] < LEAST ? this.box : box;
    });
  }

  #press(event, edges) {
    const step = STEP * (event.shiftKey ? 5 : 1);
    const move = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] }[event.key];
    if (!move) return;
    event.preventDefault();
    event.stopPropagation();
    this.#set(shift(this.box, edges, ...move), true);
  }

  #set(box, settled) {
    if (box === this.box && !settled) return;
    this.show(box);
    this.tell(isWhole(box) ? null : box, settled);
  }
}

// The box with some of its edges moved: all four keep its size, and no side gets shorter than LEAST.
function shift(box, edges, x, y) {
  const moved = [...box];
  if (edges.length === 4) {
    const [dx, dy] = [clamp(x, -box[0], 1 - box[2]), clamp(y, -box[1], 1 - box[3])];
    return [box[0] + dx, box[1] + dy, box[2] + dx, box[3] + dy];
  }
  for (const edge of edges) {
    const by = edge % 2 ? y : x;
    if (edge < 2) moved[edge] = clamp(box[edge] + by, 0, box[edge + 2] - LEAST);
    else moved[edge] = clamp(box[edge] + by, box[edge - 2] + LEAST, 1);
  }
  return moved;
}
