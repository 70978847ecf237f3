// What pages need beyond htmx; nothing of it is needed to read them.
"use strict";

// Ages and the time that is left go on while a page stands open, by the clock of the server, which its head tells. The
// words are those of `environments/moments.py`. Nothing in a live region is touched: nobody is told of each second.
(() => {
  const told = document.querySelector('meta[name="now"]');
  const ahead = Date.parse(told ? told.content : "") - Date.now();
  if (Number.isNaN(ahead)) return;
  const calm = matchMedia("(prefers-reduced-motion: reduce)");
  const live = '[aria-live], [role="status"], [role="alert"]';
  const two = (number) => String(number).padStart(2, "0");

  const coarse = (seconds) => {
    const days = Math.floor(seconds / 86400);
    const hours = Math.floor(seconds / 3600) % 24;
    const minutes = Math.floor(seconds / 60) % 60;
    if (days) return days < 100 ? `${days}d${hours}h` : `${days}d`;
    if (hours) return `${hours}h${two(minutes)}m`;
    return minutes ? `${minutes}m` : `${seconds}s`;
  };
  const countdown = (seconds) => {
    if (seconds >= 3600 || seconds < 60) return coarse(seconds);
    return `${Math.floor(seconds / 60)}m${two(seconds % 60)}s`;
  };

  const tick = () => {
    if (document.hidden) return;
    const now = Date.now() + ahead;
    for (const shown of document.querySelectorAll("time[data-ticks]")) {
      const at = Date.parse(shown.dateTime);
      const text = shown.firstChild;
      if (Number.isNaN(at) || !(text instanceof Text) || shown.closest(live)) continue;
      const age = shown.dataset.ticks === "age";
      const seconds = Math.max(Math.floor((age ? now - at : at - now) / 1000), 0);
      const said = age ? coarse(seconds) : countdown(seconds);
      if (text.data !== said) text.data = said;
    }
  };

  let seconds = 0;
  setInterval(() => {
    seconds += 1;
    if (!calm.matches || seconds % 60 === 0) tick();
  }, 1000);
  document.addEventListener("visibilitychange", tick);
})();

// All environments of a page are chosen at once; without scripts each is chosen by its box.
(() => {
  document.documentElement.classList.add("scripted");

  const show = (form) => {
    const all = form.querySelector("#choose-all");
    const boxes = [...form.querySelectorAll('tbody input[name="id"]')];
    const chosen = boxes.filter((box) => box.checked).length;
    if (!all) return;
    all.checked = chosen > 0 && chosen === boxes.length;
    all.indeterminate = chosen > 0 && chosen < boxes.length;
  };

  document.addEventListener("change", (event) => {
    const form = event.target.closest("form.chosen");
    if (!form) return;
    if (event.target.id === "choose-all") {
      for (const box of form.querySelectorAll('tbody input[name="id"]')) box.checked = event.target.checked;
    }
    show(form);
  });
  // A browser that goes back to a page may keep what was chosen on it.
  window.addEventListener("pageshow", () => document.querySelectorAll("form.chosen").forEach(show));
})();
