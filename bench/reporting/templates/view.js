// --- the view: the state of all controls, kept in the address's fragment as #key=value&key=value ---
// A control writes its state with `view.set` and reads it in a function that it gives to `view.follow`. An empty value
// means the control's first state, and is left out of the fragment. A fragment without "=" is the name of a section.
const view = (() => {
  const followers = [];
  const read = () => new URLSearchParams(location.hash.includes("=") ? location.hash.slice(1) : "");
  const tell = () => { const state = read(); followers.forEach((follower) => follower((key) => state.get(key) ?? "")); };
  addEventListener("hashchange", tell);
  return {
    set: (changes) => {
      const state = read();
      Object.entries(changes).forEach(([key, value]) => { if (value === "") state.delete(key); else state.set(key, value); });
      history.replaceState(null, "", String(state) ? `#${state}` : location.pathname + location.search);
      tell();
    },
    // Call the function now and after each change of the fragment, with a function that returns the value of a key.
    follow: (follower) => { followers.push(follower); const state = read(); follower((key) => state.get(key) ?? ""); },
  };
})();
// A link to a section scrolls to it, and keeps the state of the controls.
all("nav a[href^='#']").forEach((link) => link.addEventListener("click", (event) => {
  if (!location.hash.includes("=")) return;
  event.preventDefault();
  document.getElementById(link.hash.slice(1)).scrollIntoView();
}));
