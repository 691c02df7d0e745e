// --- all items: filters, order, pages and cards ---
// Makes an element. Properties that the element does not have become attributes.
const make = (name, properties = {}, ...children) => {
  const element = document.createElement(name);
  Object.entries(properties).forEach(([key, value]) => {
    if (key in element) element[key] = value;
    else element.setAttribute(key, value);
  });
  element.append(...children);
  return element;
};

const sheet = (() => {
  const section = document.querySelector("[data-all-items]");
  if (!section) return null;
  const data = JSON.parse(section.querySelector("script[data-sheet]").textContent);
  const { ids, rows, metrics, reference, pictures } = data;
  const count = ids.length;
  const PER_PAGE = 48, PAUSE = 200; // items on a page; milliseconds without a key press before a text filters the items
  // Returns a function that remembers its results.
  const once = (compute) => {
    const known = new Map();
    return (...key) => {
      const name = JSON.stringify(key);
      if (!known.has(name)) known.set(name, compute(...key));
      return known.get(name);
    };
  };
  // The name of each item in the address: its id, which gets a number if it is empty or if an earlier item has the same id.
  const taken = new Set(ids), named = new Set();
  const addresses = ids.map((id, place) => {
    let name = id;
    if (!id || named.has(id)) {
      name = `${id} (${place + 1})`;
      while (taken.has(name)) name += ")";
      taken.add(name);
    }
    named.add(name);
    return name;
  });
  const sourceOf = (place) => data.sources ? data.sources[data.source[place]] : ids[place];

  // --- numbers ---
  const values = once((row, metric) => {
    const text = data.values[row]?.[metric];
    return text === undefined ? null : new Float32Array(Uint8Array.from(atob(text), (one) => one.charCodeAt(0)).buffer);
  });
  const differences = once((row, metric) => {
    const own = values(row, metric), base = values(reference, metric);
    return own && base && row !== reference ? own.map((value, place) => value - base[place]) : null;
  });
  // The number as it is shown, in the unit of the metric. A negative zero becomes a zero.
  const rounded = (metric, value) => Number((value * metric.scale).toFixed(metric.decimals)) || 0;
  const shown = (metric, value, signed) => {
    if (!Number.isFinite(value)) return "no value";
    const text = rounded(metric, value).toLocaleString("en-US", {
      minimumFractionDigits: metric.decimals, maximumFractionDigits: metric.decimals, signDisplay: signed ? "always" : "auto",
    });
    return text.replace("-", "−");
  };

  // --- pictures ---
  const index = new Map(pictures ? pictures.places.map((place, number) => [place, number]) : []);
  const loaded = once((strip, block) => {
    const image = new Image();
    image.src = pictures.strips[strip].sprites[block];
    return image.decode().then(() => image);
  });
  // Returns a canvas with the thumbnail of an item, or null if the page has none. A canvas is drawn when its sprite is decoded.
  const thumbnail = (place, key) => {
    const strip = pictures ? pictures.strips.findIndex((one) => one.key === key) : -1, number = index.get(place);
    if (strip < 0 || number === undefined) return null;
    const { side, columns, block } = pictures, { label, shapes } = pictures.strips[strip];
    const [width, height] = shapes ? shapes[number] : [side, side];
    if (!width) return null;
    const canvas = make("canvas", { width, height, role: "img", "aria-label": label });
    const line = Math.floor((number % block) / columns), column = number % block % columns;
    loaded(strip, Math.floor(number / block)).then(
      (image) => canvas.getContext("2d").drawImage(image, column * side, line * side, width, height, 0, 0, width, height),
      () => {}, // a picture that cannot be decoded stays empty
    );
    return canvas;
  };

  // --- controls ---
  const controls = Object.fromEntries(all("[data-key]", section).map((control) => [control.dataset.key, control]));
  const form = section.querySelector("[data-browse]");
  const option = (value, text) => make("option", { value, textContent: text });
  controls["items-row"].append(...rows.map((row) => option(row.key, row.label)));
  controls["items-by"].append(...metrics.map((metric) => option(metric.key, metric.title)));
  if (!metrics.length) all(".of-metric", section).forEach((one) => one.remove());
  if (!reference) all(".of-difference", section).forEach((one) => one.remove());
  const holes = new Set(data.areas).size > 1; // otherwise a hole distinguishes no items
  if (!holes) all(".of-hole", section).forEach((one) => one.remove());
  if (!pictures) all(".of-pictures", section).forEach((one) => one.remove());
  const orders = [...controls["items-sort"].options].map((one) => one.value);
  const first = {
    "items-row": (rows.find((row) => row.key !== reference) ?? rows[0])?.key ?? "",
    "items-by": metrics[0]?.key ?? "",
    "items-sort": orders[0],
  };
  const KEYS = ["items-row", "items-by", "items-number", "items-sort", "items-find", "items-hole-from", "items-hole-to",
    "items-from", "items-to", "items-rows", "items-page"];
  const FILTERS = ["items-find", "items-hole-from", "items-hole-to", "items-from", "items-to"];

  // The state of the controls, in which a value that no control can have is replaced by the first state.
  const stateOf = (value) => {
    const one = (key, possible) => possible.includes(value(key)) ? value(key) : first[key];
    const number = (key) => value(key).trim() === "" || !Number.isFinite(Number(value(key))) ? null : Number(value(key));
    const row = one("items-row", rows.map((row) => row.key));
    const metric = metrics.find((metric) => metric.key === one("items-by", metrics.map((metric) => metric.key)));
    const difference = metric && value("items-number") !== "value" ? differences(row, metric.key) : null;
    return {
      row, metric,
      signed: Boolean(difference),
      numbers: difference ?? (metric ? values(row, metric.key) : null),
      order: one("items-sort", orders),
      find: value("items-find"),
      hole: [number("items-hole-from"), number("items-hole-to")],
      range: [number("items-from"), number("items-to")],
      everyRow: value("items-rows") === "all",
      page: Math.max(1, Math.floor(number("items-page") ?? 1)),
    };
  };
  const within = (value, [low, high]) => (low === null && high === null)
    || (Number.isFinite(value) && (low === null || value >= low) && (high === null || value <= high));
  const found = (state) => {
    const words = state.find.toLowerCase();
    const captions = pictures?.captions;
    const holds = (place) => !words || ids[place].toLowerCase().includes(words) || sourceOf(place).toLowerCase().includes(words)
      || Boolean(captions?.[index.get(place)]?.toLowerCase().includes(words));
    const percent = (place) => Math.round(1e4 * data.areas[place]) / 100;
    const number = (place) => Number.isFinite(state.numbers?.[place]) ? rounded(state.metric, state.numbers[place]) : NaN;
    const places = ids.map((_, place) => place).filter((place) => holds(place) && within(percent(place), state.hole)
      && (!state.metric || within(number(place), state.range)));
    const gain = (place) => (state.metric.higher ? 1 : -1) * (state.numbers?.[place] ?? NaN);
    const key = {
      worst: (place) => gain(place), best: (place) => -gain(place),
      smallest: (place) => data.areas[place], largest: (place) => -data.areas[place],
    }[state.order];
    if (!key) return places;
    const keyed = places.map((place) => [key(place), place]);
    const end = (value) => Number.isFinite(value) ? 0 : 1; // an item without a value comes last
    return keyed.sort((one, other) => end(one[0]) - end(other[0]) || (end(one[0]) ? 0 : one[0] - other[0])).map((one) => one[1]);
  };

  // --- the cards ---
  const cards = section.querySelector("[data-cards]");
  const givenKey = pictures?.strips.find((strip) => strip.key === "masked")?.key ?? pictures?.strips[0]?.key;
  const open = (place) => view.set({ item: addresses[place] });
  const card = (state, place) => {
    const keys = state.everyRow ? (pictures?.strips ?? []).map((strip) => strip.key) : [givenKey, `row:${state.row}`];
    const there = [...new Set(keys)].flatMap((key) => thumbnail(place, key) ?? []);
    const words = [make("span", { className: "card-id", textContent: ids[place] })];
    if (state.metric) {
      words.push(make("span", { className: "card-value", textContent: shown(state.metric, state.numbers?.[place] ?? NaN, state.signed) }));
    }
    const button = make("button", { type: "button", className: "card", title: `source ${sourceOf(place)}`, "data-card": place },
      make("span", { className: "card-pictures" }, ...(there.length ? there : [make("span", { className: "quiet", textContent: "no picture" })])), ...words);
    button.addEventListener("click", () => open(place));
    return make("li", {}, button);
  };
  const nameOf = (key) => rows.find((row) => row.key === key)?.label ?? key;
  const numberName = (state) => `${state.metric.title} of ${nameOf(state.row)}${state.signed ? ` minus ${nameOf(reference)}` : ""}`;
  const extreme = (word, state, place) => [
    `${word}: `,
    make("button", { type: "button", className: "link", textContent: ids[place], onclick: () => open(place) }),
    ` (${shown(state.metric, state.numbers[place], state.signed)}). `,
  ];

  let places = [], state = null, seen = null;
  const show = () => {
    places = found(state);
    const pages = Math.max(1, Math.ceil(places.length / PER_PAGE));
    const page = Math.min(state.page, pages), start = (page - 1) * PER_PAGE;
    const some = places.slice(start, start + PER_PAGE);
    cards.classList.toggle("every-row", state.everyRow);
    cards.classList.toggle("pixelated", Boolean(pictures) && pictures.side <= 128);
    cards.replaceChildren(...some.map((place) => card(state, place)));
    section.querySelector("[data-found]").textContent = some.length
      ? `${places.length} of ${count} items found. Shown: ${start + 1} to ${start + some.length}.` : `None of ${count} items found.`;
    const ranked = state.numbers ? found({ ...state, order: "worst" }).filter((place) => Number.isFinite(state.numbers[place])) : [];
    section.querySelector("[data-extremes]").replaceChildren(...(ranked.length
      ? [`${numberName(state)}. `, ...extreme("Worst", state, ranked[0]), ...extreme("Best", state, ranked.at(-1))] : []));
    all("[data-range-name]", section).forEach((legend) => { legend.textContent = numberName(state); });
    controls["items-page"].replaceChildren(...Array.from({ length: pages }, (_, number) => option(String(number + 1), `${number + 1} of ${pages}`)));
    controls["items-page"].value = String(page);
    all("[data-turn]", section).forEach((button) => {
      const next = page + Number(button.dataset.turn);
      button.dataset.page = next;
      button.disabled = next < 1 || next > pages;
    });
  };
  const write = (changes) => {
    const keys = Object.keys(changes);
    const others = keys.some((key) => ["items-row", "items-by", "items-number"].includes(key)) ? { "items-from": "", "items-to": "" } : {};
    view.set({ ...(keys.includes("items-page") ? {} : { "items-page": "" }), ...others, ...changes });
  };
  const stateOfControl = (key, control) => {
    const value = control.type === "checkbox" ? (control.checked ? control.value : "") : control.value;
    return value === (key === "items-page" ? "1" : first[key]) ? "" : value;
  };
  let timer = 0;
  Object.entries(controls).forEach(([key, control]) => {
    const typed = ["search", "number"].includes(control.type);
    control.addEventListener(typed ? "input" : "change", () => {
      clearTimeout(timer);
      const set = () => write(Object.fromEntries((typed ? FILTERS : [key]).filter((name) => controls[name]?.isConnected)
        .map((name) => [name, stateOfControl(name, controls[name])])));
      if (typed) timer = setTimeout(set, PAUSE);
      else set();
    });
  });
  form.addEventListener("submit", (event) => event.preventDefault());
  section.querySelector("[data-clear]").addEventListener("click", () => {
    clearTimeout(timer);
    FILTERS.forEach((key) => { controls[key].value = ""; });
    write(Object.fromEntries(FILTERS.map((key) => [key, ""])));
  });
  all("[data-turn]", section).forEach((button) => button.addEventListener("click", () => {
    write({ "items-page": button.dataset.page === "1" ? "" : button.dataset.page });
    section.querySelector("[data-found]").scrollIntoView({ block: "nearest" });
  }));
  section.hidden = false;
  view.follow((value) => {
    const now = JSON.stringify(KEYS.map(value));
    if (now === seen) return;
    seen = now;
    state = stateOf(value);
    const wanted = {
      "items-row": state.row, "items-by": state.metric?.key ?? "", "items-sort": state.order, "items-find": state.find,
      "items-number": value("items-number") === "value" ? "value" : "",
    };
    Object.entries(controls).forEach(([key, control]) => {
      if (key === "items-page") return;
      if (control.type === "checkbox") control.checked = state.everyRow;
      else if (control !== document.activeElement || control.tagName === "SELECT") control.value = wanted[key] ?? value(key);
    });
    show();
  });
  return {
    data, holes, ids, addresses, rows, metrics, reference, section, index, values, differences, shown, thumbnail, sourceOf, nameOf, open,
    captionOf: (place) => pictures?.captions?.[index.get(place)] ?? "",
    get row() { return state.row; },
    get metric() { return state.metric; },
    get places() { return places; },
  };
})();
