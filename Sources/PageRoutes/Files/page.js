// Keeps the page up to date by one stream of events, while it is visible. Without this script the page works, too.
"use strict";

(() => {
  const address = document.body.dataset.events;
  const link = document.getElementById("link");
  if (!address || !window.EventSource) return;

  const say = (text, state) => {
    if (link.textContent !== text) link.textContent = text;
    link.dataset.state = state;
  };

  const key = (node) => (node.nodeType === 1 ? node.dataset.key || node.id || "" : "");

  // The node, at or behind `node`, that `fresh` is a newer state of. What has no key is not looked for behind what has one,
  // which would be thrown away.
  const counterpart = (node, fresh) => {
    for (; node; node = node.nextSibling) {
      if (node.nodeName === fresh.nodeName && key(node) === key(fresh)) return node;
      if (key(node) && !key(fresh)) return null;
    }
    return null;
  };

  // Makes `old` like `fresh`, and touches only what differs: focus, selection and opened details stay as they are.
  const update = (old, fresh) => {
    for (const { name, value } of fresh.attributes) {
      if (name !== "open" && old.getAttribute(name) !== value) old.setAttribute(name, value);
    }
    for (const { name } of [...old.attributes]) {
      if (name !== "open" && !fresh.hasAttribute(name)) old.removeAttribute(name);
    }
    updateContent(old, fresh);
  };

  const updateContent = (old, fresh) => {
    let next = old.firstChild;
    for (const child of [...fresh.childNodes]) {
      const same = counterpart(next, child);
      if (!same) {
        old.insertBefore(child, next);
        continue;
      }
      while (next !== same) {
        const gone = next;
        next = next.nextSibling;
        gone.remove();
      }
      if (same.nodeType === 1) update(same, child);
      else if (same.data !== child.data) same.data = child.data;
      next = same.nextSibling;
    }
    while (next) {
      const gone = next;
      next = next.nextSibling;
      gone.remove();
    }
  };

  const show = (event) => {
    for (const [id, html] of Object.entries(JSON.parse(event.data))) {
      const element = document.getElementById(id);
      if (!element) continue;
      const template = document.createElement("template");
      template.innerHTML = "\n" + html;
      updateContent(element, template.content);
    }
    say("Live", "live");
  };

  let source = null;
  let again = 0;

  const close = () => {
    clearTimeout(again);
    if (source) source.close();
    source = null;
  };

  const open = () => {
    close();
    source = new EventSource(address);
    source.onmessage = show;
    source.addEventListener("full", () => {
      close();
      say("Too many look already: load the page again for newer numbers", "off");
    });
    source.onerror = () => {
      say("No connection; trying again", "off");
      // The browser tries again by itself unless the server has refused.
      if (source.readyState === EventSource.CLOSED) again = setTimeout(open, 5000);
    };
  };

  const follow = () => (document.hidden ? close() : open());
  document.addEventListener("visibilitychange", follow);
  addEventListener("pagehide", close);
  follow();
})();
