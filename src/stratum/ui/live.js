"use strict";
// Keeps the page as it is on the server: asks now and then, and puts in what has changed, where it has changed.
// What somebody is typing, what has the focus and what was opened stays.
(() => {
  const OFTEN_MS = 1000;
  const stage = document.body.dataset.stage;
  if (!stage || stage === "over" || stage === "edit") return;
  const address = location.pathname;
  let served = document.cloneNode(true);
  let tag = "";
  let lost = false;

  function putIn(here, next) {
    const before = served.getElementById(here.id);
    if (before && before.innerHTML === next.innerHTML) return;
    const opened = [...here.querySelectorAll("details[open]")].map((each) => each.id);
    const focused = here.contains(document.activeElement) ? document.activeElement.id : "";
    if (here.hasAttribute("data-keyed")) {
      keepKnown(here, next);
    } else {
      here.replaceChildren(...[...next.childNodes].map((each) => document.importNode(each, true)));
    }
    for (const id of opened) document.getElementById(id)?.setAttribute("open", "");
    if (focused && !here.contains(document.activeElement)) document.getElementById(focused)?.focus();
  }

  // Children that are the same as before are left alone, with all that was typed into them.
  function keepKnown(here, next) {
    const wanted = new Set([...next.children].map((each) => each.id));
    for (const child of [...here.children]) if (!wanted.has(child.id)) child.remove();
    for (const child of next.children) {
      const mine = document.getElementById(child.id);
      const before = served.getElementById(child.id);
      if (mine && before && before.outerHTML === child.outerHTML) continue;
      const made = document.importNode(child, true);
      if (mine) mine.replaceWith(made);
      else here.append(made);
    }
  }

  function show(next) {
    const now = next.body.dataset;
    if (now.stage !== stage || now.version !== document.body.dataset.version) {
      // A plan under review is never exchanged under the reader's eyes: they say when.
      if (stage.startsWith("review") && now.stage.startsWith("review")) document.getElementById("changed").hidden = false;
      else location.replace(address);
      return;
    }
    for (const part of next.querySelectorAll("[data-live]")) {
      const here = document.getElementById(part.id);
      if (here) putIn(here, part);
    }
    served = next;
  }

  async function look() {
    let again = OFTEN_MS;
    if (!document.hidden) {
      const began = performance.now();
      try {
        const answer = await fetch(address, { headers: tag ? { "If-None-Match": tag } : {}, cache: "no-store" });
        if (answer.status === 200) {
          tag = answer.headers.get("ETag") || "";
          show(new DOMParser().parseFromString(await answer.text(), "text/html"));
        }
        lost = gone(answer.status === 401, lost);
      } catch {
        lost = gone(true, lost);
      }
      // A large run takes its time to be read: it is asked for less often.
      again = Math.max(lost ? 5 * OFTEN_MS : OFTEN_MS, 5 * (performance.now() - began));
    }
    setTimeout(look, again);
  }

  function gone(now, before) {
    if (now === before) return now;
    const told = document.getElementById("changed");
    told.textContent = now ? "The page's server has ended: what you see is how it was. Start stratum ui again." : "";
    told.hidden = !now;
    return now;
  }

  setTimeout(look, OFTEN_MS);
})();
