// --- tips: a word, a sign or a number shows its meaning under the pointer, with the focus, and after a tap ---
// A trigger is a link to its meaning (data-meaning), or an element that contains its own text (.tip). Escape hides the tip.
const tip = document.createElement("div");
tip.className = "shown-tip";
tip.id = "shown-tip";
tip.setAttribute("role", "tooltip");
tip.hidden = true;
(document.querySelector("main") ?? document.body).append(tip);
const triggers = "[data-meaning], .measured";
let tipOf = null, leaving = 0;

const hideTip = () => {
  clearTimeout(leaving);
  tipOf?.removeAttribute("aria-describedby");
  tipOf = null;
  tip.hidden = true;
};
const showTip = (trigger) => {
  clearTimeout(leaving);
  if (trigger === tipOf) return;
  const source = trigger.querySelector(".tip") ?? document.getElementById(trigger.hash?.slice(1));
  if (!source) return;
  hideTip();
  tipOf = trigger;
  tip.replaceChildren(...[...source.childNodes].map((node) => node.cloneNode(true)));
  tip.hidden = false;
  trigger.setAttribute("aria-describedby", tip.id);
  const place = trigger.getBoundingClientRect(), size = tip.getBoundingClientRect(), width = root.clientWidth;
  const below = place.bottom + size.height + 8 < innerHeight || place.top < size.height + 8;
  tip.style.left = `${scrollX + Math.max(8, Math.min(place.left, width - size.width - 8))}px`;
  tip.style.top = `${scrollY + (below ? place.bottom + 4 : place.top - size.height - 4)}px`;
};
const hideSoon = () => {
  clearTimeout(leaving);
  leaving = setTimeout(() => { if (tipOf !== document.activeElement) hideTip(); }, 200);
};
const triggerOf = (event) => event.target.closest?.(triggers);

addEventListener("pointerover", (event) => {
  if (event.pointerType !== "mouse") return;
  if (tip.contains(event.target)) clearTimeout(leaving);
  else if (triggerOf(event)) showTip(triggerOf(event));
  else if (tipOf) hideSoon();
});
document.addEventListener("pointerleave", hideSoon);
addEventListener("focusin", (event) => { if (triggerOf(event) === event.target) showTip(event.target); });
addEventListener("focusout", (event) => { if (event.target === tipOf) hideTip(); });
addEventListener("click", (event) => {
  const trigger = triggerOf(event);
  if (trigger) {
    if (trigger.hash) event.preventDefault();
    showTip(trigger);
  } else if (!tip.contains(event.target)) hideTip();
});
addEventListener("keydown", (event) => { if (event.key === "Escape") hideTip(); });
addEventListener("scroll", (event) => { if (event.target !== document) hideTip(); }, true);
