// Lets this browser show its reader's pages. The form around the button carries what the browser says to the server.
"use strict";
(() => {
  const form = document.getElementById("device");
  if (!form) return;
  const say = form.querySelector("[data-say]"), button = form.querySelector("button"), address = form.elements.address;
  const bytes = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
  if (!window.isSecureContext) say.textContent = "Browsers allow this over https:// only, or on this very machine.";
  else if (!("serviceWorker" in navigator && "PushManager" in window && "Notification" in window)) say.textContent = "This browser cannot do it. On an iPhone or iPad, add Tocsin to the Home Screen and open it from there.";
  else button.disabled = false;
  form.addEventListener("submit", async (event) => {
    if (address.value) return;
    event.preventDefault();
    button.disabled = true;
    try {
      if (await Notification.requestPermission() !== "granted") throw new Error("This browser does not let Tocsin show notifications. Allow them in its settings for this site.");
      await navigator.serviceWorker.register("/worker.js");
      const worker = await navigator.serviceWorker.ready;
      const known = await worker.pushManager.getSubscription();
      if (known) await known.unsubscribe();  // it may be for another key
      const made = await worker.pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: bytes(form.dataset.key) });
      address.value = JSON.stringify(made);
      form.submit();
    } catch (error) {
      say.textContent = error.name === "AbortError" ? "The browser's push service cannot be reached from here." : error.message;
      button.disabled = false;
    }
  });
})();
