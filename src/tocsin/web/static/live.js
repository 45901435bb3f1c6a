// Keeps a page true while it is open. The server says that something changed; the page is fetched again and the parts
// with an id and data-live are exchanged, never one that holds focus, a selection or typed text. Without this script
// every page works as it was sent.
"use strict";
(() => {
  const $ = (id) => document.getElementById(id);
  const main = $("main"), sign = $("live"), say = $("say"), news = $("news");
  if (!main) return;
  if (main.dataset.own) history.replaceState(null, "", main.dataset.own); // it answers a form: that has no page of its own
  const LOST = 4000, QUIET = 10000, SETTLE = 2000, zone = main.dataset.zone || "UTC";
  let ahead = Number(main.dataset.now || Date.now()) - Date.now(); // the server's clock against ours
  let heard = 0, ended = false, knocked = 0, stream = null, asking = null, again = false, waiting = null, touched = 0, dues = new Set();
  const clock = (at) => new Intl.DateTimeFormat("en-GB", { timeZone: zone, hour: "2-digit", minute: "2-digit", second: "2-digit" }).format(at);
  const now = () => Date.now() + ahead;

  // ---- times: the server prints a clock time or a span, here it stays true

  const span = (ms) => {
    const s = Math.max(0, Math.round(ms / 1000)), m = Math.floor(s / 60), h = Math.floor(m / 60), d = Math.floor(h / 24);
    const two = (a, x, b, y) => `${a}\u00a0${x}` + (b ? ` ${b}\u00a0${y}` : "");
    return s < 60 ? `${s}\u00a0s` : s < 600 ? two(m, "min", s % 60, "s") : m < 60 ? `${m}\u00a0min` : h < 24 ? two(h, "h", m % 60, "min") : two(d, "d", d < 7 ? h % 24 : 0, "h");
  };
  const put = (el, text) => { if (el.textContent !== text) el.textContent = text; };
  function tick(root = document) {
    const t = now();
    for (const el of root.querySelectorAll("time[data-due]")) {
      const left = Number(el.dataset.due) - t;
      put(el, left > 0 ? `in ${left < 600000 ? span(left).replace(/ (\d)\u00a0s$/, " 0$1\u00a0s").replace(/min$/, "min 00\u00a0s") : span(left)}` : "now"); // one width within a minute
      if (left <= 0 && !dues.has(el.dataset.due)) { dues.add(el.dataset.due); setTimeout(refresh, 700); }
    }
    for (const el of root.querySelectorAll("time[data-since]")) put(el, span(t - el.dataset.since));
    for (const el of root.querySelectorAll("time[data-open]")) put(el, `open ${span(t - el.dataset.open)}`);
    for (const el of root.querySelectorAll("time[data-ago]")) { const ms = t - el.dataset.ago; put(el, ms < 5000 ? "just now" : `${span(ms)} ago`); }
    if (sign && heard && !ended) {
      const lost = Date.now() - heard > LOST;
      sign.dataset.is = lost ? "lost" : "live";
      put(sign, lost ? `Last heard ${clock(heard + ahead)}, reconnecting` : `Live, ${clock(heard + ahead)}`);
    }
  }

  // ---- one polite sentence at most every ten seconds

  let said = -QUIET, next = "";
  function tell(text) {
    next = text;
    const wait = said + QUIET - performance.now();
    if (wait > 0) { setTimeout(() => next && tell(next), wait + 50); return; }
    said = performance.now();
    if (say) say.textContent = next;
    next = "";
  }

  // ---- exchanging parts

  const bare = (el) => {
    const copy = el.cloneNode(true);
    copy.classList.remove("is-at", "fresh");
    for (const at of copy.querySelectorAll(".fresh, .is-at")) at.classList.remove("fresh", "is-at");
    for (const time of copy.querySelectorAll("time")) time.textContent = "";
    for (const fold of copy.querySelectorAll("details")) fold.removeAttribute("open");
    return copy.outerHTML.replace(/ class=""/g, "");
  };
  const words = (el) => { const copy = el.cloneNode(true); copy.querySelectorAll("time").forEach((t) => t.remove()); return copy.textContent.replace(/\s+/g, " "); };
  function holds(el) {
    if (el.contains(document.activeElement) && document.activeElement !== document.body) return true;
    const chosen = getSelection();
    if (chosen && !chosen.isCollapsed && chosen.rangeCount && chosen.getRangeAt(0).intersectsNode(el)) return true;
    return typed(el);
  }
  const typed = (el) => [...el.querySelectorAll("input, textarea")].some((f) => f.type !== "hidden" && f.value !== f.defaultValue);
  function swap(old, fresh) {
    if (bare(old) === bare(fresh)) return;
    if (holds(old)) {
      for (const part of old.querySelectorAll("[data-live][id]")) {
        const other = fresh.querySelector(`#${CSS.escape(part.id)}`);
        if (other && part.isConnected && !holds(part)) swap(part, other);
      }
      return;
    }
    const changed = words(old) !== words(fresh), copy = document.importNode(fresh, true);
    for (const fold of old.querySelectorAll("details[id][open]")) copy.querySelector(`#${CSS.escape(fold.id)}`)?.setAttribute("open", "");
    if (old.classList.contains("is-at")) copy.classList.add("is-at");
    if (old.dataset.row && copy.tagName !== "TR") copy.style.minHeight = `${old.getBoundingClientRect().height}px`; // rows below stay where they are
    old.replaceWith(copy);
    tick(copy.parentNode);
    if (changed && old.id !== "strips") mark(copy);
  }
  function mark(el) { el.classList.add("fresh"); setTimeout(() => el.classList.remove("fresh"), SETTLE + 200); }
  const rows = (list) => [...list.querySelectorAll("[data-row]")];
  const order = (list) => [...list.querySelectorAll("[data-row], section[aria-labelledby]")].map((el) => el.dataset.row || el.getAttribute("aria-labelledby")).join(" ");
  const reading = (list) => list.contains(document.activeElement) || list.matches(":hover") || Date.now() - touched < 3000 || (scrollY > 40 && list.getBoundingClientRect().top < innerHeight / 2);
  function rearrange(list, fresh, force) {
    if (order(list) === order(fresh)) { waiting = null; if (news) news.hidden = true; return; }
    const had = new Set(rows(list).map((row) => row.dataset.row)), came = rows(fresh).filter((row) => !had.has(row.dataset.row));
    if (came.length) tell(`New: ${came[0].querySelector("a")?.textContent.trim() || ""}`);
    if (!force && news && reading(list)) {
      waiting = { list, fresh };
      put(news, came.length ? `${came.length} new` : "Show the new order");
      news.hidden = false;
      return;
    }
    waiting = null;
    if (news) news.hidden = true;
    const held = list.contains(document.activeElement) ? document.activeElement.closest("[data-row]")?.dataset.row : null;
    list.replaceChildren(...[...document.importNode(fresh, true).childNodes]);
    tick(list);
    for (const row of came) { const el = $(row.id); if (el) mark(el); }
    if (held) list.querySelector(`[data-row="${CSS.escape(held)}"] a`)?.focus({ preventScroll: true });
  }
  function apply(text, force) {
    const page = new DOMParser().parseFromString(text, "text/html"), middle = page.getElementById("main");
    if (!middle) { location.reload(); return; }
    if (middle.dataset.title) document.title = middle.dataset.title;
    ahead = Number(middle.dataset.now) - Date.now();
    for (const el of document.querySelectorAll("[data-live-state][id]")) {
      const other = page.getElementById(el.id);
      if (other) for (const name of el.dataset.liveState.split(" ")) el.setAttribute(`data-${name}`, other.getAttribute(`data-${name}`) || "");
    }
    for (const list of document.querySelectorAll("[data-live-list][id]")) {
      const other = page.getElementById(list.id);
      if (other) rearrange(list, other, force);
    }
    for (const el of [...document.querySelectorAll("[data-live][id]")]) {
      if (!el.isConnected || el.parentElement.closest("[data-live]")) continue;
      const other = page.getElementById(el.id);
      if (other) swap(el, other);
    }
  }

  // ---- hearing that something changed

  const asFragment = { "x-tocsin-live": "1", accept: "text/html" };
  async function refresh() {
    if (asking) { again = true; return; }
    asking = fetch(location.pathname + location.search, { headers: asFragment, credentials: "same-origin" });
    try {
      const answer = await asking;
      if (answer.status === 401 || answer.redirected) leave();
      else if (answer.ok) apply(await answer.text(), false);
    } catch { /* the sign says that nothing is heard; the next beat tries again */ } finally { asking = null; }
    if (again) { again = false; setTimeout(refresh, 250); }
  }
  function knock() { // refused: is it that the session is over?
    if (Date.now() - knocked > 30000) { knocked = Date.now(); refresh(); }
  }
  function leave() { // the session is over: to sign in, but not from under what somebody types
    if (!typed(main)) { location.reload(); return; }
    ended = true;
    stream?.close();
    stream = null;
    if (sign) { sign.dataset.is = "lost"; put(sign, "Signed out; load this page again"); }
    tell("You are signed out.");
  }
  function listen() {
    if (stream || ended || document.hidden || !document.querySelector("[data-live]")) return;
    let first = heard > 0; // after a gap everything is read anew
    stream = new EventSource("/live");
    stream.addEventListener("beat", (event) => {
      const beat = JSON.parse(event.data);
      ahead = beat.now - Date.now();
      if (!beat.core) return;
      if (first || (heard && Date.now() - heard > LOST)) { first = false; refresh(); }
      heard = Date.now();
      tick();
    });
    stream.addEventListener("changed", () => { heard = Date.now(); refresh(); });
    stream.addEventListener("error", () => { if (stream && stream.readyState === EventSource.CLOSED) { stream = null; setTimeout(listen, 2000); knock(); } first = true; });
    if (!heard) heard = Date.now();
  }
  document.addEventListener("visibilitychange", () => { // a hidden tab must not keep a connection from the visible ones
    if (document.hidden) { stream?.close(); stream = null; } else listen();
  });
  addEventListener("pagehide", () => { stream?.close(); stream = null; });
  for (const kind of ["touchstart", "wheel"]) addEventListener(kind, () => { touched = Date.now(); }, { passive: true });
  news?.addEventListener("click", () => { if (waiting) { rearrange(waiting.list, waiting.fresh, true); main.focus({ preventScroll: true }); refresh(); } });

  // ---- forms that need no new page, and things only a script can do

  document.addEventListener("submit", async (event) => {
    const form = event.target;
    if (!(form instanceof HTMLFormElement) || !form.hasAttribute("data-quiet") || event.defaultPrevented) return;
    event.preventDefault();
    const body = new URLSearchParams(new FormData(form, event.submitter));
    const row = form.closest("[data-row]");
    if (event.submitter) event.submitter.setAttribute("aria-disabled", "true");
    try {
      const answer = await fetch(form.action, { method: "POST", body, headers: asFragment, credentials: "same-origin" });
      if (!answer.ok) throw new Error(String(answer.status));
      const text = await answer.text();
      form.reset();
      const mark = form.elements.once; // what is written next is another note
      if (mark) mark.value = mark.defaultValue = [...crypto.getRandomValues(new Uint8Array(16))].map((n) => n.toString(16).padStart(2, "0")).join("");
      if (row) row.querySelector("a")?.focus({ preventScroll: true });
      else if (!form.querySelector("[data-note]")) main.focus({ preventScroll: true });
      if (row) document.activeElement?.blur();
      apply(text, false);
      if (row && $(row.id)) $(row.id).querySelector("a")?.focus({ preventScroll: true });
      tell(form.dataset.quiet || "Done.");
    } catch { form.removeAttribute("data-quiet"); form.requestSubmit(event.submitter); } finally { event.submitter?.removeAttribute("aria-disabled"); }
  });
  for (const button of document.querySelectorAll("[data-copy]")) {
    if (!navigator.clipboard) continue;
    button.hidden = false;
    button.addEventListener("click", async () => { await navigator.clipboard.writeText(button.parentNode.querySelector("pre").textContent); put(button.lastElementChild, "Copied"); tell("Copied."); setTimeout(() => put(button.lastElementChild, "Copy"), 2000); });
  }
  if (/[?&]done=/.test(location.search)) { // said once, not again at each reload
    const here = new URL(location.href);
    here.searchParams.delete("done");
    history.replaceState(null, "", here);
  }
  tick();
  setInterval(tick, 1000);
  setInterval(() => { if (!document.hidden && document.querySelector("[data-poll]")) refresh(); }, 3000); // counts that no change announces
  listen();
})();
