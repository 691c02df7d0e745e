// --- an opened item: its pictures, two of them compared by a slider or by blinking, and its values ---
(() => {
  if (!sheet) return;
  const { ids, addresses, rows, metrics, reference, section } = sheet;
  const BLINK = 700; // milliseconds that each picture is shown, so that a pair takes 1.4 seconds
  const dialog = section.querySelector("[data-opened]"), part = (name) => dialog.querySelector(`[data-${name}]`);
  const frame = part("frame"), slider = part("slider"), blink = part("blink"), title = dialog.querySelector("h3");
  const sides = ["left", "right"];
  const picks = Object.fromEntries(sides.map((side) => [side, dialog.querySelector(`[data-pick=${side}]`)]));
  const calm = matchMedia("(prefers-reduced-motion: reduce)");
  const whole = zoomable(dialog);
  let place = null, pictures = [], timer = 0, second = false, blinking = false;

  // The pictures of an item: those of the page if it is a chosen item, and otherwise its thumbnails.
  const picturesOf = (number) => {
    const item = document.querySelector(`[data-item="${number}"]`);
    if (item) {
      return all("[data-picture]", item).map((image) => ({
        key: image.dataset.picture, label: image.dataset.label, node: () => make("img", { src: image.src, alt: image.alt, draggable: false }),
      }));
    }
    return (sheet.data.pictures?.strips ?? []).filter(({ key }) => sheet.thumbnail(number, key))
      .map(({ key, label }) => ({ key, label, node: () => sheet.thumbnail(number, key) }));
  };
  const compared = () => pictures.filter(({ key }) => !key.startsWith("error:"));

  // --- the two compared pictures ---
  const setAt = (percent) => {
    slider.value = percent;
    slider.setAttribute("aria-valuetext", `${percent} % of the left picture`);
    frame.style.setProperty("--at", `${percent}%`);
  };
  const tag = () => {
    frame.classList.toggle("blinking", blinking);
    frame.classList.toggle("second", blinking && second);
  };
  const beat = () => {
    clearInterval(timer);
    if (blinking && !calm.matches && dialog.open) timer = setInterval(() => { if (!document.hidden) { second = !second; tag(); } }, BLINK);
  };
  const showPair = (value) => {
    const options = compared(), keys = options.map(({ key }) => key);
    part("compare").hidden = options.length < 2;
    if (options.length < 2) return;
    const usual = { left: keys[0], right: keys.includes(`row:${sheet.row}`) ? `row:${sheet.row}` : keys.at(-1) };
    sides.forEach((side) => {
      const key = keys.includes(value(side)) ? value(side) : usual[side];
      const picture = options.find((one) => one.key === key);
      picks[side].replaceChildren(...options.map((one) => make("option", { value: one.key, textContent: one.label })));
      picks[side].value = key;
      frame.querySelector(`[data-side=${side}]`).replaceChildren(picture.node());
      frame.querySelector(`[data-tag=${side}]`).textContent = picture.label;
    });
  };
  const showMode = (value) => {
    const percent = /^\d{1,3}$/.test(value("at")) ? Math.min(100, Number(value("at"))) : 50;
    setAt(percent);
    blinking = value("mode") === "blink";
    second = false;
    blink.setAttribute("aria-pressed", blinking);
    blink.textContent = blinking ? "Stop blinking" : "Blink";
    slider.disabled = blinking;
    part("other").hidden = part("calm").hidden = !(blinking && calm.matches);
    tag();
    beat();
  };

  // --- the small pictures and the values ---
  const showTiles = () => {
    const stage = part("tiles");
    const tileOf = (row, ...some) => {
      const views = some.map((one) => make("div", { className: "view" }, one.node()));
      const words = some.filter(({ key }) => !key.startsWith("error:")).map(({ label }) => label).join(", ");
      const caption = make("figcaption", {}, make("span", { className: "name", textContent: words }));
      const metric = sheet.metric, values = row !== null && metric ? sheet.values(row, metric.key) : null;
      if (values) {
        caption.append(make("span", { className: "reading" }, `${metric.title} `, make("span", { className: "value", textContent: sheet.shown(metric, values[place], false) })));
      }
      const tile = make("figure", { className: "tile" }, ...views, caption);
      tile.classList.toggle("chosen", row === sheet.row);
      return tile;
    };
    const named = (...keys) => pictures.filter(({ key }) => keys.includes(key));
    const tiles = [named("input", "masked"), named("exemplar")].filter((some) => some.length).map((some) => tileOf(null, ...some));
    tiles.push(...compared().filter(({ key }) => key.startsWith("row:")).map((picture) => {
      const row = picture.key.slice("row:".length);
      return tileOf(row, picture, ...named(`error:${row}`));
    }));
    stage.style.setProperty("--tiles", tiles.length);
    stage.hidden = !tiles.length;
    stage.replaceChildren(...tiles);
    const chosen = document.querySelector(`[data-item="${place}"]`), side = sheet.data.pictures?.side;
    part("kind").textContent = !tiles.length ? "This page has no pictures of this item."
      : chosen ? "These are the pictures of a chosen item." : `These pictures are thumbnails with at most ${side} pixels a side, because the item is not among the chosen items.${compared().some(({ key }) => key.startsWith("row:")) ? "" : " This page has no images of the rows for this item."}`;
    dialog.classList.toggle("pixelated", chosen ? Boolean(chosen.querySelector(".pixelated")) : side <= 128);
  };
  const placeFromWorst = (numbers, higher) => {
    const gain = (value) => higher ? value : -value;
    const own = gain(numbers[place]);
    let worse = 0, count = 0;
    numbers.forEach((value) => { if (Number.isFinite(value)) { count += 1; worse += gain(value) < own; } });
    return `${worse + 1} of ${count}`;
  };
  const cell = (row, metric) => {
    const values = sheet.values(row.key, metric.key), differences = sheet.differences(row.key, metric.key);
    if (!values || !Number.isFinite(values[place])) return make("td", { className: "number", textContent: "–" });
    const numbers = differences ?? values;
    const more = Number.isFinite(numbers[place]) ? [differences ? sheet.shown(metric, differences[place], true) : "", placeFromWorst(numbers, metric.higher)] : [];
    return make("td", { className: "number" }, sheet.shown(metric, values[place], false),
      make("span", { className: "quiet", textContent: more.filter(Boolean).join("; ") }));
  };
  const showValues = () => {
    part("values").hidden = !metrics.length;
    const caption = `Each cell has the value of this item${reference ? `, then its difference to ${sheet.nameOf(reference)}` : ""}, and then the place of the item if all items are sorted with the worst first${reference ? ", by the difference where there is one" : ""}.`;
    part("values").replaceChildren(make("table", { className: "item-values" }, make("caption", { textContent: caption }),
      make("thead", {}, make("tr", {}, make("th", { scope: "col", textContent: "Row" }), ...metrics.map((metric) => make("th", { scope: "col", className: "number", textContent: metric.title })))),
      make("tbody", {}, ...rows.map((row) => make("tr", {}, make("th", { scope: "row", textContent: row.label }), ...metrics.map((metric) => cell(row, metric)))))));
  };

  // --- opening, closing, and going to the neighbours ---
  const steps = all("[data-go]", dialog);
  const neighbour = (step) => {
    const at = sheet.places.indexOf(place);
    return at < 0 ? (step > 0 ? sheet.places[0] : undefined) : sheet.places[at + step];
  };
  let seen = "", seenPair = "", seenMode = "";
  view.follow((value) => {
    const next = value("item") ? addresses.indexOf(value("item")) : -1;
    if (next < 0) {
      place = null;
      seen = seenPair = seenMode = "";
      if (dialog.open) dialog.close();
      beat();
      return;
    }
    const entered = !dialog.open;
    if (seen !== value("item")) {
      seen = value("item");
      place = next;
      pictures = picturesOf(place);
      title.textContent = `${ids[place]}`;
      const caption = sheet.captionOf(place);
      part("about").textContent = `${caption ? `“${caption}” · ` : ""}source ${sheet.sourceOf(place)}${sheet.holes ? ` · hole ${Math.round(100 * sheet.data.areas[place])} %` : ""}`;
      whole();
      showTiles();
      showValues();
      seenPair = "";
    }
    const pair = JSON.stringify([...sides.map(value), sheet.row]);
    if (pair !== seenPair) { seenPair = pair; showPair(value); }
    if (entered) {
      dialog.showModal();
      title.focus();
      dialog.scrollTop = 0;
    }
    const mode = JSON.stringify([value("at"), value("mode"), pair]);
    if (mode !== seenMode) { seenMode = mode; showMode(value); }
    steps.forEach((button) => { button.disabled = neighbour(Number(button.dataset.go)) === undefined; });
  });
  const close = () => view.set({ item: "", left: "", right: "", at: "", mode: "" });
  dialog.addEventListener("close", () => {
    const left = place;
    if (place !== null) close();
    // If the address opened the item, no element gets the focus back.
    if (document.activeElement === document.body || dialog.contains(document.activeElement)) section.querySelector(`[data-card="${left}"]`)?.focus();
  });
  part("close").addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  steps.forEach((button) => button.addEventListener("click", () => {
    const next = neighbour(Number(button.dataset.go));
    if (next === undefined) return;
    sheet.open(next);
    if (button.disabled) title.focus(); // a disabled button would lose the focus
  }));
  all("[data-open]").forEach((button) => {
    button.hidden = !(Number(button.dataset.open) < ids.length);
    button.addEventListener("click", () => sheet.open(Number(button.dataset.open)));
  });

  // --- the slider and the other controls of the comparison ---
  const at = (percent) => view.set({ at: Number(percent) === 50 ? "" : String(percent) });
  slider.addEventListener("input", () => setAt(Number(slider.value)));
  slider.addEventListener("change", () => at(slider.value));
  let held = null; // the pointer that moves the slider
  const drag = (event) => {
    const box = frame.getBoundingClientRect();
    setAt(Math.round(100 * Math.min(1, Math.max(0, (event.clientX - box.left) / box.width))));
  };
  frame.addEventListener("pointerdown", (event) => {
    if (blinking || event.button || held !== null) { held = null; return; } // two fingers zoom
    held = event.pointerId;
    frame.setPointerCapture(held);
    slider.focus({ preventScroll: true });
    drag(event);
  });
  frame.addEventListener("mousedown", (event) => event.preventDefault()); // otherwise the slider would lose the focus
  frame.addEventListener("pointermove", (event) => { if (event.pointerId === held) drag(event); });
  ["pointerup", "pointercancel"].forEach((name) => frame.addEventListener(name, (event) => {
    if (event.pointerId !== held) return;
    held = null;
    at(slider.value);
  }));
  sides.forEach((side) => picks[side].addEventListener("change", () => view.set({ [side]: picks[side].value })));
  part("swap").addEventListener("click", () => view.set({ left: picks.right.value, right: picks.left.value }));
  blink.addEventListener("click", () => view.set({ mode: blinking ? "" : "blink" }));
  part("other").addEventListener("click", () => { second = !second; tag(); });
  calm.addEventListener("change", () => { part("other").hidden = part("calm").hidden = !(blinking && calm.matches); beat(); });
})();
