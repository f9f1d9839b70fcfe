"use strict";
for (const figure of document.querySelectorAll("figure[data-attention]")) {
  const attention = JSON.parse(figure.dataset.attention);
  const grid = Number(figure.dataset.grid);
  const canvas = figure.querySelector("canvas");
  const words = figure.querySelectorAll(".words span");
  const show = (number) => {
    words.forEach((word, other) => word.classList.toggle("looked", other === number));
    canvas.width = canvas.height = grid;
    if (number === null) return;
    const context = canvas.getContext("2d");
    const weights = attention[number];
    const most = Math.max(1, ...weights);
    weights.forEach((weight, region) => {
      context.fillStyle = `rgba(0, 0, 0, ${0.8 * (1 - weight / most)})`;
      context.fillRect(region % grid, Math.floor(region / grid), 1, 1);
    });
  };
  words.forEach((word, number) => {
    for (const event of ["pointerenter", "focus"]) word.addEventListener(event, () => show(number));
    for (const event of ["pointerleave", "blur"]) word.addEventListener(event, () => show(null));
  });
}
