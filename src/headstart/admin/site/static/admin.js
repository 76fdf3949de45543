// Show the page anew when the server says that something has changed. Without this script all else
// works: it changes only parts marked data-live, and none that you are using.
"use strict";

const state = document.getElementById("live");
const PAUSE = 1500;
let busy = false;
let wanted = false;

function say(word, text) {
  state.dataset.state = word;
  state.textContent = text;
}

function inUse(part) {
  // A button must not move away under the pointer.
  if (part.matches(":hover") && part.querySelector("form")) return true;
  const chosen = document.getSelection();
  return part.contains(document.activeElement) || (!chosen.isCollapsed && part.contains(chosen.anchorNode));
}

function replace(fresh) {
  for (const part of document.querySelectorAll("[data-live]")) {
    const other = fresh.getElementById(part.id);
    if (!other || inUse(part) || part.innerHTML === other.innerHTML) continue;
    const open = new Map([...part.querySelectorAll("details[id]")].map((one) => [one.id, one.open]));
    part.replaceChildren(...document.adoptNode(other).childNodes);
    // New ones come closed, so that nothing that you read is pushed away.
    for (const one of part.querySelectorAll("details[id]")) {
      if (open.size) one.open = open.get(one.id) ?? false;
    }
  }
}

async function refresh() {
  if (busy || document.hidden) {
    wanted = true;
    return;
  }
  busy = true;
  wanted = false;
  try {
    const response = await fetch(location.href, { headers: { accept: "text/html" } });
    if (response.ok) {
      replace(new DOMParser().parseFromString(await response.text(), "text/html"));
    }
  } catch {
    wanted = true; // the server restarts; the next event asks again
  }
  setTimeout(() => {
    busy = false;
    if (wanted) refresh();
  }, PAUSE);
}

// A browser opens six connections to a server, so a page that nobody sees must not keep one.
let events = null;

function listen() {
  if (document.hidden || events) return;
  events = new EventSource("/events");
  events.addEventListener("open", () => {
    say("on", "Live");
    refresh();
  });
  events.addEventListener("changed", refresh);
  events.addEventListener("error", () => {
    const ended = events && events.readyState === EventSource.CLOSED;
    say("off", ended ? "Not updated: reload the page" : "Reconnecting");
  });
}

document.addEventListener("visibilitychange", () => {
  if (document.hidden && events) {
    events.close();
    events = null;
  }
  listen();
});
listen();
