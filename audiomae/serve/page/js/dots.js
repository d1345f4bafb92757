// Points drawn by WebGL: 100,000 of them in one call. Without WebGL, they are set pixel by pixel.
const VERTEX = `
attribute vec2 place; attribute vec4 colour; uniform vec2 centre, reach; uniform mediump float size; varying vec4 paint;
void main() { gl_Position = vec4((place - centre) * reach, 0.0, 1.0); gl_PointSize = size; paint = colour; }`;
const FRAGMENT = `
precision mediump float; varying vec4 paint; uniform float size;
void main() {
  float away = distance(gl_PointCoord, vec2(0.5)) * size;
  float cover = clamp(size * 0.5 - away, 0.0, 1.0) * paint.a;
  if (cover <= 0.0) discard;
  gl_FragColor = vec4(paint.rgb * cover, cover);
}`;

function build(gl, kind, source) {
  const shader = gl.createShader(kind);
  gl.shaderSource(shader, source);
  gl.compileShader(shader);
  return shader;
}

export class Dots {
  /** A canvas to draw on; `flat` goes without WebGL. */
  constructor(canvas, { flat = false } = {}) {
    this.canvas = canvas;
    this.count = 0;
    this.view = { x: 0, y: 0, scale: 200 };
    this.size = 6;
    this.gl = flat ? null : canvas.getContext("webgl", { antialias: false, alpha: true, premultipliedAlpha: true });
    if (this.gl && !this.prepare()) {  // a canvas that has had WebGL can have nothing else
      this.canvas = canvas.cloneNode();
      canvas.replaceWith(this.canvas);
      this.gl = null;
    }
    if (this.gl) {
      canvas.addEventListener("webglcontextlost", (event) => event.preventDefault());
      canvas.addEventListener("webglcontextrestored", () => { this.prepare(); this.send(); this.draw(); });
    } else {
      this.flat = this.canvas.getContext("2d");
    }
  }

  /** Build the program; return whether it can be used. */
  prepare() {
    const gl = this.gl, program = gl.createProgram();
    gl.attachShader(program, build(gl, gl.VERTEX_SHADER, VERTEX));
    gl.attachShader(program, build(gl, gl.FRAGMENT_SHADER, FRAGMENT));
    gl.linkProgram(program);
    if (!gl.getProgramParameter(program, gl.LINK_STATUS)) return false;
    gl.useProgram(program);
    this.spots = ["centre", "reach", "size"].map((name) => gl.getUniformLocation(program, name));
    this.buffers = [["place", 2, gl.FLOAT, false], ["colour", 4, gl.UNSIGNED_BYTE, true]].map(([name, width, kind, scaled]) => {
      const buffer = gl.createBuffer(), spot = gl.getAttribLocation(program, name);
      gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
      gl.enableVertexAttribArray(spot);
      gl.vertexAttribPointer(spot, width, kind, scaled, 0, 0);
      return buffer;
    });
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
    return true;
  }

  /** Set places (two arrays of one length) and paints (red, green, blue, alpha of each, 0 to 255). */
  set(x, y, paints) {
    if (x) {
      this.count = x.length;
      this.places = new Float32Array(2 * x.length);
      for (let index = 0; index < x.length; index += 1) { this.places[2 * index] = x[index]; this.places[2 * index + 1] = y[index]; }
    }
    if (paints) this.paints = paints;
    this.send();
  }

  send() {
    if (!this.gl || !this.places) return;
    const gl = this.gl;
    [this.places, this.paints].forEach((values, index) => {
      if (!values) return;
      gl.bindBuffer(gl.ARRAY_BUFFER, this.buffers[index]);
      gl.bufferData(gl.ARRAY_BUFFER, values, gl.STATIC_DRAW);
    });
  }

  /** Fit the canvas to its box. */
  fit() {
    this.dense = Math.min(2, devicePixelRatio || 1);
    this.wide = this.canvas.clientWidth;
    this.high = this.canvas.clientHeight;
    this.canvas.width = Math.max(1, Math.round(this.wide * this.dense));
    this.canvas.height = Math.max(1, Math.round(this.high * this.dense));
  }

  /** Where a place lies on the screen, in pixels of the box. */
  at(x, y) {
    return [(x - this.view.x) * this.view.scale + this.wide / 2, this.high / 2 - (y - this.view.y) * this.view.scale];
  }

  /** The place under a pixel of the box. */
  under(left, top) {
    return [(left - this.wide / 2) / this.view.scale + this.view.x, (this.high / 2 - top) / this.view.scale + this.view.y];
  }

  draw() {
    if (!this.count || !this.paints) return;
    if (!this.gl) { this.drawFlat(); return; }
    const gl = this.gl, { x, y, scale } = this.view;
    gl.viewport(0, 0, this.canvas.width, this.canvas.height);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT);
    gl.uniform2f(this.spots[0], x, y);
    gl.uniform2f(this.spots[1], (2 * scale) / this.wide, (2 * scale) / this.high);
    gl.uniform1f(this.spots[2], this.size * this.dense);
    gl.drawArrays(gl.POINTS, 0, this.count);
  }

  drawFlat() {
    const { width, height } = this.canvas, image = this.flat.createImageData(width, height), out = image.data;
    const size = Math.max(1, Math.round(this.size * this.dense)), half = size / 2, kernel = [];
    for (let top = 0; top < size; top += 1) {
      for (let left = 0; left < size; left += 1) {
        if ((left + 0.5 - half) ** 2 + (top + 0.5 - half) ** 2 <= half * half) kernel.push([left, top]);
      }
    }
    for (let index = 0; index < this.count; index += 1) {
      const [left, top] = this.at(this.places[2 * index], this.places[2 * index + 1]);
      const first = Math.round(left * this.dense - half), above = Math.round(top * this.dense - half);
      if (first < 0 || above < 0 || first + size > width || above + size > height) continue;
      const alpha = this.paints[4 * index + 3];
      for (const [across, down] of kernel) {
        const spot = 4 * ((above + down) * width + first + across);
        if (alpha < out[spot + 3]) continue;  // a faint point hides no clear one
        out[spot] = this.paints[4 * index];
        out[spot + 1] = this.paints[4 * index + 1];
        out[spot + 2] = this.paints[4 * index + 2];
        out[spot + 3] = alpha;
      }
    }
    this.flat.putImageData(image, 0, 0);
  }
}

/** Points by cells, so that the nearest one to a place is found without looking at all of them. */
export class Cells {
  constructor(x, y) {
    Object.assign(this, { x, y });
    const low = [Infinity, Infinity], high = [-Infinity, -Infinity];
    for (let index = 0; index < x.length; index += 1) {
      low[0] = Math.min(low[0], x[index]); high[0] = Math.max(high[0], x[index]);
      low[1] = Math.min(low[1], y[index]); high[1] = Math.max(high[1], y[index]);
    }
    Object.assign(this, { low, high, side: Math.max(1, Math.min(400, Math.ceil(Math.sqrt(x.length / 2)))) });
    this.step = [0, 1].map((axis) => Math.max(1e-9, (high[axis] - low[axis]) / this.side));
    const counts = new Uint32Array(this.side * this.side + 1), cell = new Uint32Array(x.length);
    for (let index = 0; index < x.length; index += 1) {
      cell[index] = this.column(x[index], 0) + this.side * this.column(y[index], 1);
      counts[cell[index] + 1] += 1;
    }
    for (let index = 1; index < counts.length; index += 1) counts[index] += counts[index - 1];
    this.first = counts.slice();
    this.rows = new Uint32Array(x.length);
    for (let index = 0; index < x.length; index += 1) this.rows[counts[cell[index]]++] = index;
  }

  column(value, axis) {
    return Math.max(0, Math.min(this.side - 1, Math.floor((value - this.low[axis]) / this.step[axis])));
  }

  /** Call `see` with every point within `reach` of a place, both ways. */
  each(x, y, reach, see) {
    const [left, right] = [this.column(x - reach, 0), this.column(x + reach, 0)];
    const [bottom, top] = [this.column(y - reach, 1), this.column(y + reach, 1)];
    for (let row = bottom; row <= top; row += 1) {
      for (let place = this.first[row * this.side + left]; place < this.first[row * this.side + right + 1]; place += 1) see(this.rows[place]);
    }
  }

  /** The nearest point within `reach` that `wanted` lets through, or -1. */
  nearest(x, y, reach, wanted = () => true) {
    let best = -1, least = reach * reach;
    this.each(x, y, reach, (index) => {
      const far = (this.x[index] - x) ** 2 + (this.y[index] - y) ** 2;
      if (far <= least && wanted(index)) { best = index; least = far; }
    });
    return best;
  }
}
