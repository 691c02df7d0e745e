const root = document.documentElement;
root.classList.add("scripted");
const all = (selector, within = document) => [...within.querySelectorAll(selector)];

// --- dark and light: follow the system until the reader presses the button ---
const remembered = (value) => {
  try {
    if (value) localStorage.setItem("theme", value);
    return localStorage.getItem("theme");
  } catch {
    return null; // a page that was opened as a file may have no storage
  }
};
if (remembered()) root.dataset.theme = remembered();
all("[data-theme-toggle]").forEach((button) => button.addEventListener("click", () => {
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
  remembered(root.dataset.theme);
}));

// --- a narrow screen shows the table first: what stands above it is folded ---
if (matchMedia("(max-width: 40rem)").matches) all("[data-folded]").forEach((details) => { details.open = false; });

// --- copy the command ---
all("[data-copy]").forEach((button) => {
  button.hidden = false;
  button.addEventListener("click", async () => {
    const command = document.querySelector("[data-command]");
    getSelection().selectAllChildren(command);
    try {
      await navigator.clipboard.writeText(command.textContent);
      button.textContent = "Copied";
    } catch {
      button.textContent = "Selected"; // without access to the clipboard, the reader copies the selection
    }
  });
});
