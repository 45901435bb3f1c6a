// Keeps the list of mails current and gives the shown mail its full height. Without it the page works; reload to see more.
"use strict";
const list = document.getElementById("list");
const ask = async () => {
  if (document.hidden) return;
  try {
    const answer = await fetch(`/list?open=${list.dataset.open}`);
    if (!answer.ok) return;
    const fresh = document.createElement("template");
    fresh.innerHTML = await answer.text();
    const next = document.createElement("nav");
    next.append(fresh.content);
    if (next.innerHTML.trim() === list.innerHTML.trim()) return;
    const focused = list.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
    list.replaceChildren(...next.childNodes);
    if (focused) list.querySelector(`a[href="${focused}"]`)?.focus({ preventScroll: true });
    if (list.dataset.open === "0") document.title = `${list.querySelector("h2").textContent} · Inbox`;
    list.classList.remove("gone");
  } catch {
    list.classList.add("gone"); // the demo has ended; what is here stays readable
  }
};
setInterval(ask, 1500);
document.addEventListener("visibilitychange", ask);

const mail = document.getElementById("mail");
if (mail) {
  const fit = () => {
    const inside = mail.contentDocument?.documentElement;
    if (!inside) return;
    mail.style.height = "0"; // a frame's content is never less tall than the frame
    mail.style.height = `${inside.scrollHeight + 2}px`;
  };
  mail.addEventListener("load", fit);
  addEventListener("resize", fit);
  fit();
}
