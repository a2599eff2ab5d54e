"use strict";
(() => {
  const palettes = JSON.parse(document.getElementById("palettes").textContent);
  const root = document.documentElement;

  /* Light or dark: the system's choice until the button is pressed. */
  const theme = document.getElementById("theme");
  const isDark = () => root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  theme.hidden = false;
  theme.addEventListener("click", () => { root.dataset.theme = isDark() ? "light" : "dark"; });

  /* Copy buttons, where the browser lets a file write to the clipboard. */
  for (const button of document.querySelectorAll(".command button")) {
    if (!navigator.clipboard) continue;
    button.hidden = false;
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(button.parentElement.querySelector("pre").textContent);
      button.textContent = "copied";
      setTimeout(() => { button.textContent = "copy"; }, 1500);
    });
  }

  /* A slider that shows one moment of a panel at a time. */
  for (const panel of document.querySelectorAll("[data-slider]")) {
    const moments = [...panel.querySelectorAll(".moment")];
    const range = panel.querySelector("input[type=range]");
    const output = panel.querySelector("output");
    const play = panel.querySelector("[data-play]");
    let timer = 0;
    const show = (wanted) => {
      const index = (wanted + moments.length) % moments.length;
      moments.forEach((moment, i) => { moment.hidden = i !== index; });
      range.value = String(index);
      output.textContent = moments[index].dataset.label;
      range.setAttribute("aria-valuetext", moments[index].dataset.label);
      const next = moments[(index + 1) % moments.length];
      for (const image of next.querySelectorAll("img")) if (image.decode) image.decode().catch(() => {});
      panel.dispatchEvent(new Event("moment"));
    };
    const stop = () => { clearInterval(timer); timer = 0; play.textContent = "▶"; play.setAttribute("aria-label", "Play"); };
    const step = (by) => { stop(); show(Number(range.value) + by); };
    panel.querySelector(".controls").hidden = false;
    range.addEventListener("input", () => { stop(); show(Number(range.value)); });
    panel.querySelector("[data-back]").addEventListener("click", () => step(-1));
    panel.querySelector("[data-next]").addEventListener("click", () => step(1));
    play.addEventListener("click", () => {
      if (timer) { stop(); return; }
      timer = setInterval(() => show(Number(range.value) + 1), 900);
      play.textContent = "❚❚"; play.setAttribute("aria-label", "Pause");
    });
    panel.addEventListener("keydown", (event) => {
      if (event.target === range || event.ctrlKey || event.altKey || event.metaKey) return;
      if (event.key === "ArrowLeft") { step(-1); event.preventDefault(); }
      if (event.key === "ArrowRight") { step(1); event.preventDefault(); }
    });
    show(0);
  }

  /* Values under the pointer: a picture's colour is looked up on its scale. */
  const canvases = new WeakMap();
  const pixels = (image) => {
    if (!canvases.has(image) && image.complete && image.naturalWidth) {
      const canvas = document.createElement("canvas");
      canvas.width = image.naturalWidth; canvas.height = image.naturalHeight;
      const context = canvas.getContext("2d", { willReadFrequently: true });
      context.drawImage(image, 0, 0);
      canvases.set(image, context);
    }
    return canvases.get(image);
  };
  const valueAt = (map, x, y) => {
    const image = map.querySelector("img.data");
    const context = pixels(image);
    if (!context) return null;
    const column = Math.min(image.naturalWidth - 1, Math.floor(x * image.naturalWidth));
    const row = Math.min(image.naturalHeight - 1, Math.floor(y * image.naturalHeight));
    const [r, g, b, a] = context.getImageData(column, row, 1, 1).data;
    if (!a) return null;
    const steps = palettes[map.dataset.palette];
    let best = 0, distance = Infinity;
    steps.forEach(([p, q, s], i) => {
      const d = (p - r) ** 2 + (q - g) ** 2 + (s - b) ** 2;
      if (d < distance) { distance = d; best = i; }
    });
    const low = Number(map.dataset.low), high = Number(map.dataset.high);
    return low + (high - low) * best / (steps.length - 1);
  };
  const written = (value, map) => {
    if (value === null) return "no data";
    const span = Number(map.dataset.high) - Number(map.dataset.low);
    return value.toFixed(span >= 20 ? 0 : span >= 2 ? 1 : 2).replace("-", "−");
  };
  for (const panel of document.querySelectorAll("[data-hover]")) {
    const readout = panel.querySelector(".readout");
    const resting = readout.textContent;
    let last = null;
    const crosses = new Map();
    const update = () => {
      crosses.forEach((cross) => cross.remove()); crosses.clear();
      if (!last) { readout.textContent = resting; return; }
      const parts = [];
      let place = "";
      for (const map of panel.querySelectorAll(".moment:not([hidden]) .map, .maps.single > figure > .map")) {
        if (map.closest("[hidden]")) continue;
        const cross = document.createElement("div");
        cross.className = "cross"; cross.style.left = `${last.x * 100}%`; cross.style.top = `${last.y * 100}%`;
        map.append(cross); crosses.set(map, cross);
        parts.push(`${map.dataset.title}: ${written(valueAt(map, last.x, last.y), map)}`);
        const column = last.x * Number(map.dataset.columns), row = last.y * Number(map.dataset.rows);
        const affine = map.dataset.affine ? JSON.parse(map.dataset.affine) : null;
        const digits = affine && Math.abs(affine[0]) < 0.5 ? 5 : 0;
        place = affine
          ? `x ${(affine[0] * column + affine[1] * row + affine[2]).toFixed(digits)}, y ${(affine[3] * column + affine[4] * row + affine[5]).toFixed(digits)}`
          : `column ${Math.floor(column)}, row ${Math.floor(row)}`;
      }
      readout.textContent = `${parts.join(" · ")} · ${place}`;
    };
    panel.addEventListener("pointermove", (event) => {
      const map = event.target.closest && event.target.closest(".map");
      if (!map) { if (last) { last = null; update(); } return; }
      const box = map.getBoundingClientRect();
      last = { x: Math.min(0.9999, Math.max(0, (event.clientX - box.left) / box.width)),
               y: Math.min(0.9999, Math.max(0, (event.clientY - box.top) / box.height)) };
      update();
    });
    panel.addEventListener("pointerleave", () => { last = null; update(); });
    panel.addEventListener("moment", () => { if (last) update(); });
  }
})();
