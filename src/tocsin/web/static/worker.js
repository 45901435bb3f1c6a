// The web app's worker: shows a page as a notification, and acknowledges from it. It keeps nothing and asks nobody but
// the server it came from; what it shows was encrypted for this browser alone.
"use strict";
const ICON = "/static/ICON", BADGE = "/static/BADGE";

const show = (told, more = {}) => self.registration.showNotification(told.title || "Tocsin", {
  body: told.body || "", tag: told.tag || "tocsin", icon: ICON, badge: BADGE, timestamp: told.at || Date.now(), data: told,
  renotify: true, requireInteraction: told.kind === "page",
  actions: told.acknowledge ? [{ action: "acknowledge", title: "Acknowledge" }, { action: "open", title: "Open" }] : [],
  ...more,
});

self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));

self.addEventListener("push", (event) => {
  let told = {};
  try { told = event.data.json(); } catch { told = { title: "Tocsin", body: "Open Tocsin to see what it is." }; }
  // A page makes a sound and stays. That somebody has it, or that it is over, takes its place in silence.
  const quiet = told.kind !== "page";
  const arrived = told.arrived ? fetch(told.arrived, { method: "POST", credentials: "omit" }).catch(() => {}) : null;
  event.waitUntil(Promise.all([show(told, quiet ? { silent: true, renotify: false } : { vibrate: [300, 100, 300, 100, 600] }), arrived]));
});

async function acknowledge(told) {
  const after = { ...told, kind: "update", acknowledge: "", arrived: "" };
  try {
    const answer = await fetch(told.acknowledge, { method: "POST", credentials: "omit", headers: { accept: "text/html" } });
    if (answer.ok) return show({ ...after, body: "You have it. Nobody else is paged while you do." }, { silent: true, renotify: false });
    if (answer.status === 409) return show({ ...after, body: "Somebody else has it already. Nothing is asked of you." }, { silent: true, renotify: false });
    return show({ ...after, body: answer.status === 410 || answer.status === 404 ? "It is over, or was too long ago. Open Tocsin to see." : "Nothing was written down. Open it and try there.", acknowledge: "" });
  } catch {
    return show({ ...told, body: "Tocsin could not be reached, so nobody knows that you have it. Try again." });
  }
}

self.addEventListener("notificationclick", (event) => {
  const told = event.notification.data || {};
  event.notification.close();
  if (event.action === "acknowledge" && told.acknowledge) event.waitUntil(acknowledge(told));
  else event.waitUntil(self.clients.openWindow(told.url || "/"));
});
