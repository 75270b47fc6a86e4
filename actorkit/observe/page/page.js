"use strict";
// The observer's page: keeps the trees that the events tell of, and draws the rows in sight.
// Everything that comes from a node goes into the page as text, never as markup.

const ROW = 28;             // pixels, as in the style sheet
const OVERSCAN = 8;         // rows above and below the ones in sight
const OPEN_UP_TO = 30;      // children that are shown without being asked for
const HISTORY = 40;         // points of a node's curve
const LOOK_EVERY = 1000;    // milliseconds between two looks at the chosen actor
const MESSAGES = 200;       // that are shown of it
const FAILURES = 100;       // that are shown in all

const $ = (id) => document.getElementById(id);
const tree = $("tree"), room = $("room");
const number = new Intl.NumberFormat("en");

/** name -> {name, address, rows: uid -> row, top: row, time, trouble, history} */
const nodes = new Map();
let shown = [];             // the rows in their order, as they would all be drawn
let at = null;              // the row that the keyboard is at
let chosen = null;          // the row whose details are shown
let sort = "", filter = "";
let stale = true;           // `shown` must be made again

// -- what the node tells ---------------------------------------------------------------------------

function newNode({ node: name, address }) {
  const old = nodes.get(name);
  const top = { node: name, uid: 0, name, cls: address, kids: new Set(), state: "", activity: "",
                inbox: 0, handled: 0, restarts: 0, rate: 0, since: null, open: old ? old.top.open : true };
  nodes.set(name, { name, address, rows: new Map([[0, top]]), top, time: 0, trouble: "",
                    history: old ? old.history : [] });
  if (old) forgetFailures(name);
  stale = true;
}

function takeRows({ node: name, time, rows, gone, more }) {
  const node = nodes.get(name);
  if (!node) return;
  node.time = time;
  node.told = performance.now();
  node.more = more;
  for (const [uid, parent, label, cls, state, activity, inbox, handled, restarts, rate, since] of rows) {
    let row = node.rows.get(uid);
    if (!row) {
      row = { node: name, uid, parent, name: label, cls, kids: new Set() };
      node.rows.set(uid, row);
      const above = node.rows.get(parent) || node.top;
      above.kids.add(uid);
      stale = true;
    }
    Object.assign(row, { state, activity, inbox, handled, restarts, rate, since });
  }
  for (const uid of gone) {
    const row = node.rows.get(uid);
    if (!row) continue;
    node.rows.delete(uid);
    const above = node.rows.get(row.parent) || node.top;
    above.kids.delete(uid);
    row.gone = true;
    stale = true;
  }
  if (sort || filter) stale = true;
}

/** Sums over a node's actors, once for each look. */
function total(node) {
  let inbox = 0, rate = 0, handled = 0, restarts = 0;
  for (const row of node.rows.values()) {
    if (row === node.top) continue;
    inbox += row.inbox; rate += row.rate; handled += row.handled; restarts += row.restarts;
  }
  Object.assign(node.top, { inbox, rate, handled, restarts });
  node.history = [...node.history, rate].slice(-HISTORY);
}

let ticking = null;
function soon() {           // one drawing for the many events of one look
  ticking ??= setTimeout(() => {
    ticking = null;
    for (const node of nodes.values()) total(node);
    drawNodes();
    draw();
  }, 50);
}

function connect() {
  const source = new EventSource("events");
  const on = (name, take) => source.addEventListener(name, (event) => { take(JSON.parse(event.data)); soon(); });
  source.onopen = () => {
    for (const name of [...nodes.keys()]) lose(name);
    say("live", "live");
  };
  source.onerror = () => {
    say("lost", "connection lost; trying again");
    if (source.readyState === EventSource.CLOSED) setTimeout(connect, 2000);
  };
  on("node", newNode);
  on("rows", takeRows);
  on("lost", ({ node }) => lose(node));
  on("failures", takeFailures);
  on("trouble", ({ node, text }) => {
    if (!node) say(text ? "lost" : "live", text || "live");
    else if (nodes.has(node)) nodes.get(node).trouble = text;
  });
}

function lose(name) {
  nodes.delete(name);
  forgetFailures(name);
  stale = true;
}

function say(kind, text) {
  $("status").className = kind;
  $("status").textContent = text;
}

// -- the rows --------------------------------------------------------------------------------------

const isOpen = (row) => row.open ?? row.kids.size <= OPEN_UP_TO;

function pathOf(row) {
  const node = nodes.get(row.node);
  const names = [];
  for (let up = row; up && up.uid; up = node && node.rows.get(up.parent)) names.unshift(up.name);
  return "/" + names.join("/");
}

function arrange() {
  stale = false;
  shown = [];
  const flat = sort || filter;
  for (const node of nodes.values()) {
    if (!flat) addBelow(node, node.top, 0);
    else for (const row of node.rows.values()) if (row !== node.top && fits(row)) { row.depth = 0; shown.push(row); }
  }
  if (sort === "state") {
    const rank = (row) => (row.state !== "running" ? 3 : row.activity === "blocked" ? 2 : row.activity ? 1 : 0);
    shown.sort((a, b) => rank(b) - rank(a) || busy(b) - busy(a));
  } else if (sort) {
    shown.sort((a, b) => b[sort] - a[sort]);
  }
  shown.forEach((row, index) => { row.index = index; });
  if (at && shown[at.index] !== at) at = null;
  room.style.height = `${shown.length * ROW}px`;
  let all = 0, more = false;
  for (const node of nodes.values()) { all += node.rows.size - 1; more ||= node.more; }
  $("count").textContent = `${number.format(all)}${more ? " and more" : ""}`
    + (filter ? `, ${number.format(shown.length)} fit` : "");
}

function addBelow(node, top, depth) {
  const pending = [[top, depth, 1, 1]];
  while (pending.length) {
    const [row, deep, place, of] = pending.pop();
    row.depth = deep; row.place = place; row.of = of;
    shown.push(row);
    if (!row.kids.size || !isOpen(row)) continue;
    const kids = [...row.kids];
    for (let i = kids.length - 1; i >= 0; i--) {
      const kid = node.rows.get(kids[i]);
      if (kid) pending.push([kid, deep + 1, i + 1, kids.length]);
    }
  }
}

function fits(row) {
  return !filter || row.cls.toLowerCase().includes(filter) || `${row.node}${pathOf(row)}`.toLowerCase().includes(filter);
}

function busy(row) {
  const node = nodes.get(row.node);
  if (row.since == null || !node) return 0;
  return node.time - row.since + (performance.now() - node.told) / 1000;
}

const pool = [];            // row elements, reused
function draw() {
  if (stale) arrange();
  const first = Math.max(0, Math.floor(tree.scrollTop / ROW) - OVERSCAN);
  const last = Math.min(shown.length, Math.ceil((tree.scrollTop + tree.clientHeight) / ROW) + OVERSCAN);
  while (pool.length < last - first) pool.push(makeRow());
  for (let i = 0; i < pool.length; i++) {
    const row = shown[first + i];
    if (first + i < last) fill(pool[i], row);
    else if (pool[i].of) { pool[i].of = null; pool[i].box.hidden = true; }
  }
  const slot = at && pool.find((slot) => slot.of === at);
  if (slot) tree.setAttribute("aria-activedescendant", slot.box.id);
  else tree.removeAttribute("aria-activedescendant");
}

function makeRow() {
  const box = element("div", "row");
  box.id = `row-${pool.length}`;
  box.setAttribute("role", "treeitem");
  const who = element("span", "who"), mark = element("span", "mark"), name = element("b"), cls = element("small");
  mark.setAttribute("aria-hidden", "true");
  who.append(mark, name, cls);
  const state = element("span"), chip = element("span", "chip");
  state.append(chip);
  const inbox = element("span", "depth"), rate = element("span"), handled = element("span"), restarts = element("span");
  const bar = element("i"), waiting = element("span");
  inbox.append(bar, waiting);
  box.append(who, state, inbox, rate, handled, restarts);
  const slot = { box, mark, name, cls, chip, bar, waiting, rate, handled, restarts, of: null };
  box.addEventListener("click", (event) => {
    at = slot.of;
    if (event.target === mark || !slot.of.uid) toggle(slot.of);
    else choose(slot.of);
    draw();
  });
  room.append(box);
  return slot;
}

function fill(slot, row) {
  const { box } = slot;
  slot.of = row;
  box.hidden = false;
  box.style.transform = `translateY(${row.index * ROW}px)`;
  box.style.setProperty("--depth", row.depth);
  box.classList.toggle("top", !row.uid);
  box.classList.toggle("at", row === at);
  box.setAttribute("aria-level", row.depth + 1);
  box.setAttribute("aria-posinset", sort || filter ? row.index + 1 : row.place);
  box.setAttribute("aria-setsize", sort || filter ? shown.length : row.of);
  box.setAttribute("aria-selected", row === chosen);
  if (row.kids.size && !sort && !filter) box.setAttribute("aria-expanded", isOpen(row));
  else box.removeAttribute("aria-expanded");
  put(slot.name, sort || filter ? (nodes.size > 1 ? row.node : "") + pathOf(row) : row.name);
  put(slot.cls, row.cls);
  const doing = row.activity && row.since != null ? `${row.activity} ${duration(busy(row))}` : row.activity;
  put(slot.chip, row.state === "running" ? doing : row.state);
  slot.chip.className = "chip" + (row.state && row.state !== "running" ? " bad"
    : row.since != null ? " warn" : "");
  count(slot.waiting, row.inbox);
  slot.bar.style.width = row.uid && row.inbox ? `${Math.min(80, 8 + 12 * Math.log2(1 + row.inbox))}px` : "0";
  count(slot.rate, row.rate < 10 ? Math.round(row.rate * 10) / 10 : Math.round(row.rate));
  count(slot.handled, row.handled);
  count(slot.restarts, row.restarts);
  slot.restarts.classList.toggle("many", row.restarts > 0 && row.uid > 0);
}

function count(box, value) {
  put(box, number.format(value));
  box.classList.toggle("zero", !value);
}

function put(box, text) {
  if (box.firstChild) { if (box.firstChild.data !== text) box.firstChild.data = text; } else box.append(text);
}

function element(kind, name, text) {
  const made = document.createElement(kind);
  if (name) made.className = name;
  if (text !== undefined) made.textContent = text;
  return made;
}

function toggle(row, open = !isOpen(row)) {
  row.open = open;
  stale = true;
}

function goTo(row) {
  if (!row) return;
  at = row;
  const top = row.index * ROW;
  if (top < tree.scrollTop) tree.scrollTop = top;
  else if (top + ROW > tree.scrollTop + tree.clientHeight) tree.scrollTop = top + ROW - tree.clientHeight;
}

tree.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (stale) arrange();
  const index = at ? at.index : -1;
  const page = Math.max(1, Math.floor(tree.clientHeight / ROW) - 1);
  const last = shown.length - 1;
  const flat = sort || filter;
  switch (event.key) {
    case "ArrowDown": goTo(shown[Math.min(last, index + 1)]); break;
    case "ArrowUp": goTo(shown[Math.max(0, index - 1)]); break;
    case "PageDown": goTo(shown[Math.min(last, index + page)]); break;
    case "PageUp": goTo(shown[Math.max(0, index - page)]); break;
    case "Home": goTo(shown[0]); break;
    case "End": goTo(shown[last]); break;
    case "ArrowRight":
      if (!at || flat || !at.kids.size) break;
      if (!isOpen(at)) toggle(at, true); else goTo(shown[index + 1]);
      break;
    case "ArrowLeft":
      if (!at || flat) break;
      if (at.kids.size && isOpen(at)) toggle(at, false);
      else if (at.uid) goTo(nodes.get(at.node).rows.get(at.parent) || nodes.get(at.node).top);
      break;
    case "Enter": case " ":
      if (at && at.uid) choose(at); else if (at) toggle(at);
      break;
    case "Escape": choose(null); break;
    default: return;
  }
  event.preventDefault();
  draw();
});
tree.addEventListener("focus", () => { if (!at && shown.length) { at = shown[0]; draw(); } });

let drawing = false;
tree.addEventListener("scroll", () => {
  if (drawing) return;
  drawing = true;
  requestAnimationFrame(() => { drawing = false; draw(); });
}, { passive: true });
new ResizeObserver(() => draw()).observe(tree);

$("filter").addEventListener("input", (event) => {
  filter = event.target.value.trim().toLowerCase();
  stale = true;
  tree.scrollTop = 0;
  draw();
});
for (const button of document.querySelectorAll("[data-sort]")) {
  button.addEventListener("click", () => {
    sort = button.dataset.sort;
    for (const other of document.querySelectorAll("[data-sort]")) other.setAttribute("aria-pressed", other === button);
    stale = true;
    tree.scrollTop = 0;
    draw();
  });
}

// -- the nodes -------------------------------------------------------------------------------------

function drawNodes() {
  $("nodes").replaceChildren(...[...nodes.values()].map((node) => {
    const card = element("div", node.trouble ? "node troubled" : "node");
    card.setAttribute("role", "listitem");
    const who = element("div"), load = element("div", "load");
    who.append(element("b", "", node.name), element("small", "", node.trouble || node.address || "behind another node"));
    load.append(element("b", "", `${number.format(Math.round(node.top.rate))} msg/s`),
                element("small", "", `${number.format(node.rows.size - 1)} actors, ${number.format(node.top.inbox)} waiting`));
    card.append(who, curve(node.history), load);
    return card;
  }));
}

function curve(history) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 72 26");
  svg.setAttribute("aria-hidden", "true");
  const line = document.createElementNS("http://www.w3.org/2000/svg", "polyline");
  const most = Math.max(1, ...history);
  const step = 72 / (HISTORY - 1);
  line.setAttribute("points", history.map((rate, i) =>
    `${(72 - (history.length - 1 - i) * step).toFixed(1)},${(24.5 - 22 * rate / most).toFixed(1)}`).join(" "));
  svg.append(line);
  return svg;
}

// -- failures --------------------------------------------------------------------------------------

function takeFailures({ node, failures }) {
  const told = nodes.get(node), list = $("failures");
  list.querySelector(".none")?.remove();
  for (const failure of failures) {
    const when = Date.now() - 1000 * Math.max(0, (told ? told.time : failure.at) - failure.at);
    const item = makeFailure(failure, node, when);
    // Each goes to its place and the others stay where they are, with the focus that one may have.
    list.insertBefore(item, [...list.children].find((other) => other.dataset.when <= when) || null);
  }
  while (list.children.length > FAILURES) list.lastChild.remove();
  countFailures();
  tellAges();
}

function forgetFailures(name) {
  for (const item of [...$("failures").children]) if (item.dataset.node === name) item.remove();
  countFailures();
}

function countFailures() {
  const list = $("failures"), count = list.querySelectorAll("li[data-when]").length;
  if (!count) list.replaceChildren(element("li", "none", "none so far"));
  $("failure-count").textContent = count ? `the last ${count}` : "";
}

function makeFailure(failure, node, when) {
  const item = element("li"), details = element("details"), summary = element("summary"), show = element("button", "", "Show actor");
  const ago = element("small", "ago");
  item.dataset.when = when;
  item.dataset.node = node;
  summary.append(element("b", "", failure.error), element("span", "", (nodes.size > 1 ? node : "") + failure.path), ago);
  details.append(summary, element("pre", "", failure.trace), show);
  show.addEventListener("click", () => chooseAt(node, failure.path));
  item.append(details);
  return item;
}

function tellAges() {
  for (const ago of document.querySelectorAll("#failures .ago")) {
    put(ago, `${duration((Date.now() - ago.closest("li").dataset.when) / 1000)} ago`);
  }
}
setInterval(tellAges, 5000);

function duration(seconds) {
  if (seconds < 1) return `${Math.max(0, Math.round(seconds * 10) / 10)} s`;
  if (seconds < 60) return `${Math.round(seconds)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  return `${Math.floor(seconds / 3600)} h`;
}

// -- one actor -------------------------------------------------------------------------------------

const token = new URLSearchParams(location.hash.slice(1)).get("token");
let looking = 0;            // counts choices, so that a late answer for another actor is dropped
let seen = new Map();       // the chosen actor's messages, by number
let after = null;

function chooseAt(name, path) {
  const node = nodes.get(name);
  const row = node && [...node.rows.values()].find((row) => row.uid && pathOf(row) === path);
  if (!row) return;
  for (let up = node.rows.get(row.parent); up; up = up.uid ? node.rows.get(up.parent) : null) up.open = true;
  node.top.open = true;
  sort = filter = $("filter").value = "";
  for (const button of document.querySelectorAll("[data-sort]")) button.setAttribute("aria-pressed", !button.dataset.sort);
  arrange();
  goTo(row);
  choose(row);
  draw();
}

function choose(row) {
  chosen = row;
  looking += 1;
  seen = new Map();
  after = null;
  $("actor").hidden = !row;
  if (!row) return;
  const path = row.path = pathOf(row);
  $("actor-title").textContent = (nodes.size > 1 ? row.node : "") + path;
  $("orders").hidden = !token;
  for (const id of ["facts", "summary", "stack"]) $(id).replaceChildren();
  $("messages").tBodies[0].replaceChildren();
  $("messages-note").textContent = "";
  $("actor-trouble").textContent = "";
  $("blocked").hidden = true;
  look(looking, row.node, path);
}

async function get(what, asked) {
  const answer = await fetch(`${what}?${new URLSearchParams(asked)}`);
  const content = await answer.json();
  if (!answer.ok) throw new Error(content.error);
  return content;
}

async function look(turn, node, path) {
  while (turn === looking) {
    if (!document.hidden) {
      try {
        const details = await get("actor", { node, path });
        if (turn !== looking) return;
        drawDetails(details);
        $("actor-trouble").textContent = "";
      } catch (error) {
        if (turn === looking) $("actor-trouble").textContent = error.message;
      }
      try {
        if (after === null) after = (await get("messages", { node, path })).after;
        const answer = await get("messages", { node, path, after });
        if (turn !== looking) return;
        takeMessages(answer);
      } catch (error) {
        if (turn === looking) $("messages-note").textContent = error.message;
      }
    }
    await new Promise((done) => setTimeout(done, LOOK_EVERY));
  }
}

function drawDetails(details) {
  const facts = [
    ["class", details.class, true],
    ["state", details.state],
    ["doing", details.activity || "nothing"],
    ["inbox", number.format(details.inbox) + (details.maxsize === null ? "" : ` of ${number.format(details.maxsize)}`)],
    ["handled", number.format(details.handled)],
    ["restarts", `${number.format(details.restarts)} (${details.restart})`],
    ["children", number.format(details.children)],
    ["watchers", number.format(details.watchers)],
    ["timers", number.format(details.timers)],
  ];
  $("facts").replaceChildren(...facts.map(([name, value, wide]) => {
    const pair = element("div", wide ? "wide" : "");
    pair.append(element("dt", "", name), element("dd", "", value));
    return pair;
  }));
  const entries = Object.entries(details.summary || {});
  if (details.summary === null) $("summary").replaceChildren(element("p", "none", "not shown by this node"));
  else if (!entries.length) $("summary").replaceChildren(element("p", "none", "no public attributes"));
  else {
    const list = element("dl");
    for (const [name, value] of entries) list.append(element("dt", "", name), element("dd", "", value));
    $("summary").replaceChildren(list);
  }
  $("blocked").hidden = !details.stack.length;
  $("stack").replaceChildren(...details.stack.map((line) => element("li", "", line)));
}

function takeMessages({ messages, time, skipped, ended }) {
  for (const entry of messages) seen.set(entry[0], entry);
  // What still runs is asked for again, for what becomes of it.
  const running = messages.find((entry) => entry[5] === null);
  if (running) after = running[0] - 1;
  else if (messages.length) after = messages[messages.length - 1][0];
  const shown = [...seen.values()].slice(-MESSAGES);
  seen = new Map(shown.map((entry) => [entry[0], entry]));
  $("messages").tBodies[0].replaceChildren(...shown.reverse().map(([, began, how, message, seconds, outcome]) => {
    const line = element("tr");
    const failed = outcome !== null && outcome.startsWith("failed");
    line.append(element("td", "", duration(time - began)), element("td", "", how), element("td", "", message),
                element("td", failed ? "failed" : "", outcome === null ? "still runs" : outcome),
                element("td", "number", seconds === null ? "" : (1000 * seconds).toFixed(2)));
    return line;
  }));
  $("messages-note").textContent = ended ? `ended: ${ended}`
    : (seen.size ? "" : "none since you look") + (skipped ? ` ${number.format(skipped)} more came too fast to be shown` : "");
  if (ended === "nobody looked") after = null;
}

$("close").addEventListener("click", () => { choose(null); draw(); tree.focus(); });
for (const button of document.querySelectorAll("[data-order]")) {
  button.addEventListener("click", async () => {
    const { order } = button.dataset, { node, path } = chosen;
    if (!confirm(`${button.textContent} ${path} of ${node}?`)) return;
    const answer = await fetch("control", {
      method: "POST",
      headers: { "X-Actorkit-Token": token },
      body: JSON.stringify({ node, path, order }),
    });
    if (!answer.ok) $("actor-trouble").textContent = (await answer.json()).error;
  });
}

connect();
