// --- the gallery: show the items of the chosen row and metric ---
const filters = document.querySelector("[data-filters]");
if (filters) {
  const ranks = ["best", "median", "worst"];
  const items = all("[data-item]");
  const parent = items[0].parentNode;
  const end = items.at(-1).nextSibling;
  const chooser = (name) => filters.querySelector(`[data-choose=${name}]`);
  const choice = (name) => chooser(name).value;
  const show = () => {
    const row = choice("row"), metric = choice("metric");
    const found = items.map((item) => {
      const picks = all(".picks li", item);
      picks.forEach((pick) => {
        pick.hidden = !((!row || pick.dataset.row === row) && (!metric || pick.dataset.metric === metric));
      });
      item.hidden = picks.every((pick) => pick.hidden);
      all("[data-made]", item).forEach((tile) => tile.classList.toggle("chosen", tile.dataset.made === row));
      all(".reading", item).forEach((reading) => { reading.hidden = Boolean(metric) && reading.dataset.metric !== metric; });
      return [item, Math.min(...picks.filter((pick) => !pick.hidden).map((pick) => ranks.indexOf(pick.dataset.rank)))];
    });
    found.sort((one, other) => one[1] - other[1]).forEach(([item]) => parent.insertBefore(item, end));
    const count = items.filter((item) => !item.hidden).length;
    filters.querySelector("[data-shown]").textContent = count ? `${count} item${count > 1 ? "s" : ""}` : "none of these items fits into the page";
  };
  // The first option of a choice is its first state, and "*" stands for all rows or every metric.
  const choices = { row: chooser("row"), by: chooser("metric") };
  filters.hidden = false;
  filters.addEventListener("change", () => view.set(Object.fromEntries(Object.entries(choices).map(
    ([key, select]) => [key, select.selectedIndex === 0 ? "" : select.value || "*"]))));
  filters.addEventListener("submit", (event) => event.preventDefault());
  let shown = null;
  view.follow((value) => {
    const wanted = JSON.stringify(Object.keys(choices).map(value));
    if (wanted === shown) return; // another control changed, so that no item has to move
    shown = wanted;
    Object.entries(choices).forEach(([key, select]) => {
      const wanted = value(key) === "*" ? "" : value(key) || select.options[0].value;
      const index = [...select.options].findIndex((option) => option.value === wanted);
      select.selectedIndex = Math.max(0, index);
    });
    show();
  });
}

// --- the gallery: zoom and move all pictures of an item together ---
const LARGEST = 16, STEP = 1.5, MOVE = 0.12;
// An item holds one or more stages with pictures, buttons with `data-zoom`, and the element that shows the zoom. A stage
// with `data-frame` is moved by two fingers only, because one pointer moves the slider there. Returns a function that
// shows the whole pictures again.
const zoomable = (item) => {
  const level = item.querySelector("[data-level]");
  let zoom = 1, x = 0, y = 0; // position of the upper left corner; the unit is the side of a picture
  const set = (newZoom, newX, newY) => {
    zoom = Math.min(LARGEST, Math.max(1, newZoom));
    const within = (value) => Math.min(0, Math.max(1 - zoom, value));
    x = within(newX);
    y = within(newY);
    item.style.setProperty("--zoom", zoom);
    item.style.setProperty("--x", `${100 * x}%`);
    item.style.setProperty("--y", `${100 * y}%`);
    item.classList.toggle("zoomed", zoom > 1);
    level.textContent = `${zoom < 10 ? +zoom.toFixed(1) : Math.round(zoom)}×`;
  };
  const zoomAt = (factor, u = 0.5, v = 0.5) => {
    const next = Math.min(LARGEST, Math.max(1, zoom * factor));
    set(next, u - (u - x) * next / zoom, v - (v - y) * next / zoom);
  };
  const place = (event, view) => {
    const box = view.getBoundingClientRect();
    return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
  };
  const viewOf = (event) => event.target.closest(".view");

  all("[data-zoom]", item).forEach((button) => button.addEventListener("click", () => {
    if (button.dataset.zoom === "reset") set(1, 0, 0);
    else zoomAt(button.dataset.zoom === "in" ? STEP : 1 / STEP);
  }));

  all("[data-stage]", item).forEach((stage) => {
    const framed = "frame" in stage.dataset;
    stage.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const moves = { ArrowLeft: [1, 0], ArrowRight: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
      if (event.key === "+" || event.key === "=") zoomAt(STEP);
      else if (event.key === "-") zoomAt(1 / STEP);
      else if (event.key === "0" || (event.key === "Escape" && zoom > 1)) set(1, 0, 0);
      else if (event.key in moves && zoom > 1) set(zoom, x + MOVE * moves[event.key][0], y + MOVE * moves[event.key][1]);
      else return;
      event.preventDefault();
    });

    stage.addEventListener("wheel", (event) => {
      const view = viewOf(event), inward = event.deltaY < 0;
      const ours = event.ctrlKey || document.activeElement === (framed ? item.querySelector("[data-slider]") : stage); // else the wheel scrolls the page
      if (!view || !ours || (!event.ctrlKey && zoom === 1 && !inward)) return;
      event.preventDefault();
      zoomAt(Math.exp(-event.deltaY * (event.ctrlKey ? 0.01 : 0.002)), ...place(event, view));
    }, { passive: false });

    stage.addEventListener("dblclick", (event) => {
      const view = viewOf(event); // null if the stage has captured the pointer, as it does while zoomed
      if (zoom > 1) set(1, 0, 0);
      else if (view) zoomAt(4, ...place(event, view));
    });

    const pointers = new Map();
    let held = null; // the picture under the first finger
    stage.addEventListener("pointerdown", (event) => {
      const view = viewOf(event);
      if (!view) return;
      if (!pointers.size) held = view;
      pointers.set(event.pointerId, place(event, held));
      if ((zoom > 1 && !framed) || pointers.size > 1) stage.setPointerCapture(event.pointerId);
    });
    stage.addEventListener("pointermove", (event) => {
      if (!pointers.has(event.pointerId)) return;
      const before = [...pointers.values()];
      pointers.set(event.pointerId, place(event, held));
      const after = [...pointers.values()];
      const middle = (points) => [0, 1].map((axis) => points.reduce((sum, point) => sum + point[axis], 0) / points.length);
      const spread = (points) => points.length < 2 ? 1 : Math.hypot(points[0][0] - points[1][0], points[0][1] - points[1][1]) || 1;
      const [from, to] = [middle(before), middle(after)];
      if ((zoom === 1 || framed) && pointers.size < 2) return;
      set(zoom, x + to[0] - from[0], y + to[1] - from[1]);
      zoomAt(spread(after) / spread(before), ...to);
    });
    const released = (event) => pointers.delete(event.pointerId);
    ["pointerup", "pointercancel", "lostpointercapture"].forEach((name) => stage.addEventListener(name, released));
  });
  return () => set(1, 0, 0);
};
all("[data-item]").forEach(zoomable);
