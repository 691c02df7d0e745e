// --- tables: sort the rows by the column whose heading is pressed: upwards, downwards, and in the table's own order ---
const numberOf = (cell) => {
  if (cell.dataset.order !== undefined) return cell.dataset.order === "" ? null : Number(cell.dataset.order);
  const text = cell.textContent.trim();
  if (text === "exact") return Infinity; // the ratio of an error to an error of 0
  const found = text.match(/^[÷+\s]*([-−]?\d[\d,]*(?:\.\d+)?(?:e[-+]?\d+)?)/i);
  return found ? Number(found[1].replaceAll(",", "").replace("−", "-")) : null;
};
const compared = (one, other) => typeof one === "string" ? one.localeCompare(other, "en", { numeric: true }) : one - other;
all("table[data-sorted]").forEach((table, place) => {
  const name = place ? `sort_${place + 1}` : "sort";
  const body = table.tBodies[0], rows = [...body.rows], heads = [...table.tHead.rows[0].cells];
  const next = { none: "up", ascending: "down", descending: "" };
  heads.forEach((head) => {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "sort";
    button.append(...head.querySelector("[data-head]").childNodes);
    head.querySelector("[data-head]").replaceWith(button);
    button.addEventListener("click", () => {
      const way = next[head.getAttribute("aria-sort")];
      view.set({ [name]: way && `${way}:${head.dataset.key}` });
    });
  });
  view.follow((value) => {
    const [, way, key] = value(name).match(/^(up|down):(.*)$/s) ?? [];
    const column = heads.findIndex((head) => head.dataset.key === key);
    heads.forEach((head, index) => {
      head.setAttribute("aria-sort", index !== column ? "none" : way === "up" ? "ascending" : "descending");
    });
    const read = (row) => {
      const cell = row.cells[column];
      return cell.matches(".number") ? numberOf(cell) : cell.textContent.trim();
    };
    const sorted = column < 0 ? rows : rows.map((row) => [row, read(row)]).sort(([, one], [, other]) => {
      if (one === null || other === null) return (one === null) - (other === null); // numbers that are missing come last
      return compared(one, other) * (way === "up" ? 1 : -1);
    }).map(([row]) => row);
    body.append(...sorted);
  });
});

// --- the main table: intervals, hidden rows and columns, and on a phone one column at a time ---
const results = document.querySelector(".results");
if (results) {
  const controls = document.querySelector("[data-controls]");
  const heads = [...results.tHead.rows[0].cells], rows = [...results.tBodies[0].rows];
  const names = { rows: rows.map((row) => row.dataset.row), columns: heads.slice(1).map((head) => head.dataset.key) };
  controls.hidden = false;

  const box = controls.querySelector("[data-intervals]");
  box.addEventListener("change", () => view.set({ intervals: box.checked ? "shown" : "" }));
  view.follow((value) => {
    box.checked = value("intervals") === "shown";
    root.classList.toggle("intervals", box.checked);
  });

  const boxes = Object.fromEntries(Object.keys(names).map((kind) => {
    const chooser = controls.querySelector(`[data-chooser=${kind}]`), found = all("input", chooser);
    const hidden = () => found.filter((one) => !one.checked).map((one) => one.value);
    chooser.addEventListener("change", () => view.set({ [`hide_${kind}`]: view.joined(hidden()) }));
    chooser.querySelector("[data-all]").addEventListener("click", () => view.set({ [`hide_${kind}`]: "" }));
    return [kind, found];
  }));
  const one = controls.querySelector("[data-one]");
  one.addEventListener("change", () => view.set({ column: one.selectedIndex ? one.value : "" }));
  const counted = (count, word) => count ? [`${count} ${word}${count > 1 ? "s" : ""}`] : [];
  view.follow((value) => {
    const hidden = Object.fromEntries(Object.keys(names).map((kind) => {
      const asked = view.parted(value(`hide_${kind}`));
      return [kind, new Set(names[kind].filter((name) => asked.includes(name)))];
    }));
    Object.entries(boxes).forEach(([kind, found]) => found.forEach((box) => { box.checked = !hidden[kind].has(box.value); }));
    rows.forEach((row) => { row.hidden = hidden.rows.has(row.dataset.row); });
    const left = names.columns.filter((name) => !hidden.columns.has(name));
    const chosen = left.includes(value("column")) ? value("column") : left[0];
    [...one.options].forEach((option) => { option.hidden = option.disabled = hidden.columns.has(option.value); });
    if (chosen !== undefined) one.value = chosen;
    heads.forEach((head, index) => [head, ...rows.map((row) => row.cells[index])].forEach((cell) => {
      cell.hidden = hidden.columns.has(head.dataset.key);
      cell.classList.toggle("chosen", !index || head.dataset.key === chosen);
    }));
    const parts = [...counted(hidden.rows.size, "row"), ...counted(hidden.columns.size, "column")];
    const are = hidden.rows.size + hidden.columns.size > 1 ? "are" : "is";
    controls.querySelector("[data-hidden]").textContent = parts.length ? `${parts.join(" and ")} ${are} hidden` : "";
    one.closest("label").classList.toggle("empty", chosen === undefined);
  });

  // Tab reaches one number of the table; the arrow keys move among the numbers.
  const cells = () => all(".measured", results).filter((cell) => cell.offsetParent);
  const hold = (cell) => all(".measured", results).forEach((each) => { each.tabIndex = each === cell ? 0 : -1; });
  const holdFirst = () => hold(cells()[0]);
  view.follow(holdFirst);
  addEventListener("resize", () => { if (!cells().some((cell) => cell.tabIndex === 0)) holdFirst(); });
  results.addEventListener("focusin", (event) => { if (event.target.matches(".measured")) hold(event.target); });
  results.addEventListener("keydown", (event) => {
    const from = event.target, step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (!step || !from.matches(".measured") || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    const found = cells().filter((cell) => step[0]
      ? cell.parentNode === from.parentNode && Math.sign(cell.cellIndex - from.cellIndex) === step[0]
      : cell.cellIndex === from.cellIndex && Math.sign(cell.parentNode.rowIndex - from.parentNode.rowIndex) === step[1]);
    const forward = step[0] + step[1] > 0;
    (forward ? found[0] : found.at(-1))?.focus();
  });
}

// --- compare two rows: show the differences of the chosen pair ---
const pairs = document.querySelector("[data-pairs]");
if (pairs) {
  const [first, second] = all("select", pairs), start = [first.value, second.value];
  const known = [...first.options].map((option) => option.value);
  const lines = all("[data-pair-row]", pairs.closest("details"));
  pairs.hidden = false;
  const choose = () => {
    const chosen = view.joined([first.value, second.value]);
    view.set({ pair: chosen === view.joined(start) ? "" : chosen });
  };
  pairs.addEventListener("change", choose);
  view.follow((value) => {
    const asked = view.parted(value("pair"));
    const is = asked.length === 2 && asked.every((row) => known.includes(row));
    [first.value, second.value] = is ? asked : start;
    const same = first.value === second.value, chosen = [first.value, second.value];
    lines.forEach((line) => {
      line.hidden = same || !chosen.includes(line.dataset.pairRow) || !chosen.includes(line.dataset.pairOther);
    });
    pairs.querySelector("[data-same]").textContent = same ? "Choose two different rows." : "";
  });
}

// --- further tables: the address contains which of them are open; print opens all of them, and all evidence ---
const folded = all("details.more");
let printing = false, opened = [];
folded.forEach((details) => details.addEventListener("toggle", () => {
  const numbers = folded.flatMap((each, place) => each.open ? [String(place + 1)] : []);
  if (!printing) view.set({ open: view.joined(numbers) });
}));
view.follow((value) => {
  const asked = view.parted(value("open"));
  if (!printing) folded.forEach((details, place) => { details.open = asked.includes(String(place + 1)); });
});
addEventListener("beforeprint", () => {
  printing = true;
  opened = all("details.more:not([open]), .claims details:not([open])");
  opened.forEach((details) => { details.open = true; });
});
addEventListener("afterprint", () => {
  opened.forEach((details) => { details.open = false; });
  printing = false;
});
