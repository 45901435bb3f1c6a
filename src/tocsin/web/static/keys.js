// Single keys. Off while typing, off in a dialog, and off altogether where the reader chose so.
"use strict";
(() => {
  if (document.body.dataset.keys !== "on") return;
  const GO = { i: "/", a: "/alerts", o: "/oncall", s: "/silences", v: "/services", k: "/keys", p: "/parked", l: "/plan" };
  const help = document.getElementById("keys-help");
  let chord = 0;
  const typing = (el) => el instanceof HTMLElement && (el.isContentEditable || el.matches("input:not([type=checkbox], [type=radio]), textarea, select"));
  const rows = () => [...document.querySelectorAll("[data-row]")];
  const at = () => document.activeElement?.closest?.("[data-row]") || document.querySelector("[data-row].is-at");
  function go(row) {
    for (const other of document.querySelectorAll(".is-at")) other.classList.remove("is-at");
    if (!row) return;
    row.classList.add("is-at");
    row.querySelector("a")?.focus({ preventScroll: true });
    row.scrollIntoView({ block: "nearest" });
  }
  function step(by) {
    const all = rows(), here = all.indexOf(at());
    if (all.length) go(all[here < 0 ? (by > 0 ? 0 : all.length - 1) : Math.min(all.length - 1, Math.max(0, here + by))]);
  }
  const acts = {
    j: () => step(1),
    k: () => step(-1),
    Enter: () => { const row = at(); if (!row || document.activeElement !== document.body) return false; row.querySelector("a")?.click(); },
    a: () => { const button = (at() || document).querySelector("[data-ack]"); if (!button || button.offsetParent === null) return false; button.click(); },
    n: () => document.querySelector("[data-note]")?.focus(),
    "/": () => { const find = document.querySelector("[data-find]"); find?.form?.classList.add("is-on"); find?.focus(); },
    "?": () => help?.showModal(),
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || help?.open) return;
    if (event.key === "Escape") {
      if (typing(document.activeElement)) document.activeElement.blur();
      else { const back = document.querySelector("[data-back]"); if (back) back.click(); }
      return;
    }
    if (typing(event.target)) return;
    if (chord && Date.now() - chord < 1500) {
      chord = 0;
      if (GO[event.key]) { event.preventDefault(); location.href = GO[event.key]; }
      return;
    }
    if (event.key === "g") { chord = Date.now(); return; }
    const act = acts[event.key];
    if (act && act() !== false) event.preventDefault();
  });
  document.querySelector("[data-keys-help]")?.addEventListener("click", (event) => { event.preventDefault(); help?.showModal(); });
})();
