"use strict";
(() => {
  const form = document.getElementById("filter"), rows = [...document.querySelectorAll("#controls tbody tr")];
  const shown = form.querySelector("output"), names = ["catalogue", "system", "status"];
  const texts = rows.map(row => row.textContent.toLowerCase());

  function filter() {
    const asked = names.map(name => form.elements[name].value), text = form.elements.text.value.trim().toLowerCase();
    let count = 0;
    rows.forEach((row, index) => {
      const fits = names.every((name, i) => !asked[i] || row.dataset[name] === asked[i]) && texts[index].includes(text);
      row.hidden = !fits;
      count += fits;
    });
    shown.textContent = `${count} of ${rows.length} shown`;
  }
  form.hidden = false;
  form.addEventListener("input", filter);
  form.addEventListener("submit", event => event.preventDefault());
  filter();

  // A link to a line, or to what a rule found, opens beside what one reads. Without this script it leads further down.
  const panel = document.getElementById("panel"), before = [];
  const element = (name, text) => Object.assign(document.createElement(name), {textContent: text});

  function show(address) {
    const line = /^(.+):(\d+)$/.exec(address), place = document.getElementById(line ? line[1] : address);
    if (!place || !place.matches(".source, .evidence")) return false;
    const bar = element("div", ""), body = element("div", ""), close = element("button", "Close");
    bar.className = "bar";
    body.className = "body";
    body.tabIndex = 0;
    const file = place.matches(".source"), title = place.querySelector("summary").textContent;
    const name = element("h2", line ? `${title}, line ${line[2]}` : file ? title : address.replace("/", ": "));
    name.id = "panel-name";
    bar.append(name);
    if (before.length) {
      const back = element("button", "Back");
      back.addEventListener("click", () => { before.pop(); show(before.pop()); });
      bar.append(back);
    }
    close.addEventListener("click", () => panel.close());
    bar.append(close);
    before.push(address);
    if (file) {
      const list = element("ol", "");
      place.querySelector("pre").textContent.split("\n").forEach(text => list.append(element("li", text)));
      body.append(list);
      panel.replaceChildren(bar, body);
      if (!panel.open) panel.showModal();
      if (line) {
        const here = list.children[line[2] - 1];
        here.className = "here";
        here.setAttribute("aria-current", "location");
        here.scrollIntoView({block: "center"});
        body.scrollLeft = 0;
      }
    } else {
      body.append(...[...place.cloneNode(true).childNodes].filter(node => node.nodeName !== "SUMMARY"));
      body.prepend(element("p", place.querySelector("summary > span").textContent));
      panel.replaceChildren(bar, body);
      if (!panel.open) panel.showModal();
    }
    close.focus();
    return true;
  }
  panel.addEventListener("close", () => { before.length = 0; });
  panel.addEventListener("click", event => { if (event.target === panel) panel.close(); });
  document.addEventListener("click", event => {
    const link = event.target.closest && event.target.closest("a");
    const href = link && link.getAttribute("href");
    if (!href || href[0] !== "#" || event.ctrlKey || event.metaKey || event.shiftKey) return;
    if (show(decodeURIComponent(href.slice(1)))) event.preventDefault();
    else if (panel.open) panel.close();
  });

  // What a stack waits for, and what waits for it.
  document.querySelectorAll(".chain a").forEach(stack => {
    const lines = stack.closest("svg").querySelectorAll(`[data-from="${stack.dataset.stack}"], [data-to="${stack.dataset.stack}"]`);
    const light = on => () => lines.forEach(line => line.classList.toggle("lit", on));
    ["mouseenter", "focus"].forEach(event => stack.addEventListener(event, light(true)));
    ["mouseleave", "blur"].forEach(event => stack.addEventListener(event, light(false)));
  });

  // On paper nothing unfolds: what bars and pictures rest on is printed with them.
  let folded = [];
  addEventListener("beforeprint", () => {
    folded = [...document.querySelectorAll("details.also:not([open])")];
    folded.forEach(details => { details.open = true; });
  });
  addEventListener("afterprint", () => folded.forEach(details => { details.open = false; }));
})();
