// --- the table ---
all("[data-intervals]").forEach((box) => {
  box.addEventListener("change", () => view.set({ intervals: box.checked ? "shown" : "" }));
  view.follow((value) => {
    box.checked = value("intervals") === "shown";
    root.classList.toggle("intervals", box.checked);
  });
});
