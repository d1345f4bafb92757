// The map as a thing to handle: drag, wheel, pinch, click, lasso, keys. It knows places, not songs.
import { make } from "./dom.js";
import { Cells, Dots } from "./dots.js";
import { Overlay, inside } from "./overlay.js";

const CLICK = 5;

export class Chart {
  /** `on` has choose(index), hover(index or null), lasso(indices), aim(index) and shown(index). */
  constructor(box, on, options) {
    Object.assign(this, { box, on, pointers: new Map(), mode: "move", path: null, aimed: -1, asked: false });
    const canvas = make("canvas", { "aria-hidden": "true" });
    box.append(canvas);
    this.dots = new Dots(canvas, options);
    this.overlay = new Overlay(box);
    new ResizeObserver(() => { if (box.clientWidth) { this.dots.fit(); if (!this.fitted) this.whole(); this.draw(true); } }).observe(box);
    this.listen();
  }

  set(x, y) {
    this.cells = new Cells(x, y);
    this.dots.set(x, y, null);
    Object.assign(this, { x, y, fitted: false });
    this.whole();
  }

  paint(colours) {
    this.dots.set(null, null, colours);
    this.draw();
  }

  /** Show the whole map. */
  whole() {
    if (!this.cells || !this.dots.wide) return;
    const { low, high } = this.cells, edge = 48;
    const scale = Math.min((this.dots.wide - edge) / (high[0] - low[0] || 1), (this.dots.high - edge) / (high[1] - low[1] || 1));
    this.dots.view = { x: (low[0] + high[0]) / 2, y: (low[1] + high[1]) / 2, scale: Math.max(1e-6, scale) };
    this.base = this.dots.view.scale;
    this.fitted = true;
    this.draw();
  }

  zoom(by, left = this.dots.wide / 2, top = this.dots.high / 2) {
    const before = this.dots.under(left, top), view = this.dots.view;
    view.scale = Math.max(this.base * 0.5, Math.min(this.base * 400, view.scale * by));
    const after = this.dots.under(left, top);
    view.x += before[0] - after[0];
    view.y += before[1] - after[1];
    this.draw();
  }

  pan(across, down) {
    this.dots.view.x -= across / this.dots.view.scale;
    this.dots.view.y += down / this.dots.view.scale;
    this.draw();
  }

  /** Bring a point into view. */
  show(index) {
    const [left, top] = this.dots.at(this.x[index], this.y[index]);
    if (left > 20 && top > 20 && left < this.dots.wide - 20 && top < this.dots.high - 20) return;
    Object.assign(this.dots.view, { x: this.x[index], y: this.y[index] });
    this.draw();
  }

  /** Draw with the next frame, or at once. */
  draw(now = false) {
    if (now) { this.render(); return; }
    if (this.asked) return;
    this.asked = true;
    requestAnimationFrame(() => { this.asked = false; this.render(); });
  }

  render() {
    if (!this.x || !this.dots.wide) return;
    const many = this.x.length, near = Math.sqrt(this.dots.view.scale / this.base);
    const base = many > 50_000 ? 2.2 : many > 10_000 ? 3 : many > 2_000 ? 4.5 : many > 400 ? 7 : 11;
    this.dots.size = Math.min(14, Math.max(base, base * near));
    this.dots.draw();
    this.overlay.draw(this.dots);
    this.overlay.point(this.aimed >= 0 ? this.dots.at(this.x[this.aimed], this.y[this.aimed]) : null);
  }

  /** The point under a pixel of the box, or -1. */
  pick(left, top, reach) {
    if (!this.cells) return -1;
    const [x, y] = this.dots.under(left, top);
    return this.cells.nearest(x, y, reach / this.dots.view.scale, this.on.shown);
  }

  spot(event) {
    const box = this.box.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  }

  listen() {
    const { box } = this;
    box.addEventListener("pointerdown", (event) => {
      if (event.button || event.target.closest("button") || !this.cells) return;
      box.setPointerCapture(event.pointerId);
      const spot = this.spot(event);
      this.pointers.set(event.pointerId, spot);
      this.begun = this.pointers.size === 1 ? spot : null;
      this.path = this.pointers.size === 1 && (this.mode === "lasso" || event.shiftKey) ? [spot] : null;
    });
    box.addEventListener("pointermove", (event) => this.move(event));
    for (const name of ["pointerup", "pointercancel"]) box.addEventListener(name, (event) => this.lift(event, name));
    box.addEventListener("pointerleave", () => this.on.hover(null));
    box.addEventListener("wheel", (event) => {
      if (!this.cells) return;
      event.preventDefault();
      this.zoom(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0015)), ...this.spot(event));
    }, { passive: false });
    box.addEventListener("keydown", (event) => this.key(event));
    box.addEventListener("blur", () => { this.aimed = -1; this.on.hover(null); this.draw(); });
  }

  move(event) {
    const spot = this.spot(event), before = this.pointers.get(event.pointerId);
    if (!before) {
      if (event.pointerType === "mouse") { const index = this.pick(...spot, 14); this.on.hover(index < 0 ? null : index); }
      return;
    }
    const others = [...this.pointers.entries()].filter(([id]) => id !== event.pointerId).map((pair) => pair[1]);
    if (this.path) {
      this.path.push(spot);
      this.overlay.trace(this.path);
    } else if (others.length) {
      const far = (one, other) => Math.hypot(one[0] - other[0], one[1] - other[1]);
      this.zoom(far(spot, others[0]) / Math.max(1, far(before, others[0])), (spot[0] + others[0][0]) / 2, (spot[1] + others[0][1]) / 2);
    } else {
      this.box.classList.add("drag");
      this.on.hover(null);
      this.pan(spot[0] - before[0], spot[1] - before[1]);
    }
    this.pointers.set(event.pointerId, spot);
  }

  lift(event, name) {
    if (!this.pointers.delete(event.pointerId)) return;
    this.box.classList.remove("drag");
    const spot = this.spot(event), path = this.path;
    this.path = null;
    this.overlay.trace(null);
    if (name === "pointercancel") return;
    const still = this.begun && Math.hypot(spot[0] - this.begun[0], spot[1] - this.begun[1]) < CLICK;
    if (still) {
      const index = this.pick(...spot, event.pointerType === "mouse" ? 14 : 26);
      if (index >= 0) this.on.choose(index);
    } else if (path && path.length > 2) {
      this.on.lasso(this.within(path));
    }
  }

  /** Points in a polygon of pixels. */
  within(path) {
    const found = [];
    const ring = path.map((point) => this.dots.under(...point));
    for (let index = 0; index < this.x.length; index += 1) {
      if (this.on.shown(index) && inside(this.x[index], this.y[index], ring)) found.push(index);
    }
    return found;
  }

  key(event) {
    if (event.target !== this.box || !this.cells) return;
    const ways = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
    const plain = { "+": () => this.zoom(1.4), "-": () => this.zoom(1 / 1.4), 0: () => this.whole() };
    if (plain[event.key]) { event.preventDefault(); plain[event.key](); return; }
    if ((event.key === "Enter" || event.key === " ") && this.aimed >= 0) { event.preventDefault(); this.on.choose(this.aimed); return; }
    if (!ways[event.key]) return;
    event.preventDefault();
    const next = this.aimed < 0 ? this.pick(this.dots.wide / 2, this.dots.high / 2, 1e5) : this.beside(this.aimed, ways[event.key]);
    if (next < 0) return;
    this.aimed = next;
    this.show(next);
    this.draw(true);
    this.on.aim(next);
  }

  /** The next point in a direction. */
  beside(index, [across, up]) {
    let best = -1, least = Infinity;
    for (let reach = 40 / this.dots.view.scale; best < 0 && reach < 1e7 / this.base; reach *= 3) {
      this.cells.each(this.x[index], this.y[index], reach, (other) => {
        const dx = this.x[other] - this.x[index], dy = this.y[other] - this.y[index];
        const along = dx * across + dy * up, aside = Math.abs(dx * up) + Math.abs(dy * across);
        if (other === index || along <= 0 || aside > 2 * along || along + 2 * aside >= least || !this.on.shown(other)) return;
        best = other;
        least = along + 2 * aside;
      });
    }
    return best;
  }
}
