// --- the view: the state of all controls, kept in the address's fragment as #key=value&key=value ---
// A control writes its state with `view.set` and reads it in a function that it gives to `view.follow`. An empty value
// means the control's first state, and is left out of the fragment. A fragment without "=" is the name of a section.
// A control ignores values that it does not know, so a damaged fragment shows the first state.
const view = (() => {
  const followers = [];
  const read = () => new URLSearchParams(location.hash.includes("=") ? location.hash.slice(1) : "");
  let state = read();
  const valueOf = (key) => state.get(key) ?? "";
  const tell = () => followers.forEach((follower) => follower(valueOf));
  addEventListener("hashchange", () => { state = read(); tell(); });
  return {
    set: (changes) => {
      Object.entries(changes).forEach(([key, value]) => { if (value === "") state.delete(key); else state.set(key, value); });
      try {
        history.replaceState(null, "", `${location.href.split("#")[0]}${String(state) && `#${state}`}`);
      } catch {} // a page within another page may not change its address, and a browser may limit how often it changes
      tell();
    },
    // Call the function now and after each change of the fragment, with a function that returns the value of a key.
    follow: (follower) => { followers.push(follower); follower(valueOf); },
    isFirst: () => !String(state),
    // Return one value that holds several names, and the names in such a value. A damaged name is left out.
    joined: (names) => names.map(encodeURIComponent).join(","),
    parted: (value) => value.split(",").flatMap((name) => {
      try { return name ? [decodeURIComponent(name)] : []; } catch { return []; }
    }),
  };
})();
// A link within the page scrolls to its target, opens it if it is closed, and keeps the state of the controls.
all("a[href^='#']:not([data-meaning])").forEach((link) => link.addEventListener("click", (event) => {
  const target = document.getElementById(link.hash.slice(1));
  if (!target) return;
  if (target.matches("details")) target.open = true;
  if (view.isFirst()) return;
  event.preventDefault();
  target.scrollIntoView();
  target.tabIndex = -1; // the next press of Tab goes on from here, as after any link
  target.focus({ preventScroll: true });
}));
