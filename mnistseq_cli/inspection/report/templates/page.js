"use strict";

// Filters the gallery, and keeps boxes shown where a picture was clicked or all are asked for.
(() => {
  for (const picture of document.querySelectorAll("button.picture")) {
    picture.addEventListener("click", () => {
      const isShown = picture.getAttribute("aria-pressed") === "true";
      picture.setAttribute("aria-pressed", String(!isShown));
    });
  }

  const filters = document.getElementById("filters");
  if (!filters) return;
  const cards = [...document.querySelectorAll("#samples > li")];
  const count = filters.querySelector("output");
  const fits = {
    digit: (card, wanted) => card.dataset.text.includes(wanted),
    length: (card, wanted) => card.dataset.length === wanted,
    split: (card, wanted) => card.dataset.split === wanted,
    state: (card, wanted) => card.dataset.state === wanted,
  };

  function show() {
    const asked = [...filters.querySelectorAll("select")].filter((select) => select.selectedIndex);
    let shown = 0;
    for (const card of cards) {
      card.hidden = !asked.every((select) => fits[select.name](card, select.value));
      shown += !card.hidden;
    }
    count.textContent = `${shown} of ${cards.length} shown`;
    const all = filters.querySelector("input");
    document.body.classList.toggle("all-boxes", Boolean(all && all.checked));
  }

  filters.addEventListener("change", show);
  filters.addEventListener("submit", (event) => event.preventDefault());
  filters.querySelector("button").addEventListener("click", () => {
    filters.reset();
    show();
  });
  filters.hidden = false;
  show();
})();
