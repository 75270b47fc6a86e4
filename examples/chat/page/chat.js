// The page: what it shows, and how it keeps connected. What people wrote only ever becomes text
// (textContent), never markup.

import { openPolling, openWebSocket } from "/links.js";

const FIRST_WAIT = 500, LONGEST_WAIT = 8_000; // milliseconds before the next attempt to connect
const MAX_SHOWN = 500; // messages that the page keeps
const NEAR_END = 80; // pixels from the end within which the log follows what comes

const $ = (id) => document.getElementById(id);
const log = $("log"), text = $("text");

const me = { name: sessionStorage.name ?? "", token: sessionStorage.token ?? "" };
let room = decodeURIComponent(location.hash.slice(1)) || "lobby";
let before = "lobby"; // where to go back to when there is no way into the room
let polling = new URLSearchParams(location.search).get("transport") === "polling";
let link = null; // while there is one
let signedIn = false; // hello was answered on this link
let lost = ""; // why the room is not there, while it is not
let wait = FIRST_WAIT, timer = 0;
let people = new Set();
let unanswered = []; // what was said and not yet confirmed

// -- connecting ----------------------------------------------------------------------------------

function connect() {
  drop();
  status("connecting", "Connecting…");
  const hello = { op: "hello", ...(me.token ? { token: me.token } : { name: me.name }) };
  const current = (polling ? openPolling : openWebSocket)(hello, (said) => hear(said, current), (end) => {
    if (link === current) disconnected(end);
  });
  link = current;
}

function drop() {
  clearTimeout(timer);
  const gone = link;
  link = null;
  signedIn = false;
  gone?.close();
}

function disconnected({ over, why, opened }) {
  link = null;
  signedIn = false;
  unsent();
  if (over) return status("over", why || "Disconnected.", connect);
  polling ||= !opened && wait > FIRST_WAIT; // websockets may not get through
  status("connecting", `Connection lost. Trying again in ${Math.ceil(wait / 1000)} s…`, connect);
  timer = setTimeout(connect, wait * (0.8 + 0.4 * Math.random()));
  wait = Math.min(LONGEST_WAIT, wait * 2);
}

function hear(said, from) {
  if (from !== undefined && from !== link) return;
  if (said.events) return batch(said);
  if (said.op === "hello") return said.ok ? welcome(said) : refused(said.error);
  if (said.op === "say") {
    const words = unanswered.shift();
    if (said.error && !text.value) text.value = words ?? "";
  }
  if (said.op === "enter" && said.error && room !== before) enter(before);
  if (said.error) notice(said.error, true);
}

function welcome(said) {
  signedIn = true;
  wait = FIRST_WAIT;
  me.name = sessionStorage.name = said.name;
  me.token = sessionStorage.token = said.token;
  $("door").hidden = true;
  $("chat").hidden = false;
  enter(room);
  text.focus();
}

function refused(why) {
  if (me.token) { // that session is over; the name may still be free
    me.token = "";
    delete sessionStorage.token;
    connect();
  } else {
    showDoor(why);
  }
}

function showDoor(why = "") {
  drop();
  $("chat").hidden = true;
  $("door").hidden = false;
  $("door-error").textContent = why;
  $("name").value = me.name;
  $("first-room").value = room;
  $("name").focus();
}

// -- what happens --------------------------------------------------------------------------------

function batch({ events, missed }) {
  if (missed) {
    notice(`This connection was slow: ${missed} events were dropped.`, true);
    link.send({ op: "enter", room });
  }
  for (const event of events) if (event.room === room) happened(event);
}

function happened(event) {
  switch (event.type) {
    case "said":
      showMessage(event);
      break;
    case "entered":
      people.add(event.name);
      if (event.name !== me.name) notice(`${event.name} came in`);
      break;
    case "left":
      people.delete(event.name);
      notice(`${event.name} left`);
      break;
    case "lost":
      lost = event.why;
      notice(`The room is moving: ${lost}.`, true);
      break;
    case "room":
      if (lost) notice(`The room is back, on ${event.node}.`);
      lost = "";
      people = new Set(event.people);
      $("node").textContent = `on ${event.node}`;
      event.recent.forEach(showMessage);
      listRooms();
      break;
  }
  showPeople();
  showState();
}

function showState() {
  if (!signedIn) return;
  if (lost) status("lost", `The room is moving: ${lost}. It will be back in a moment.`);
  else status("ok", `Connected as ${me.name} by ${link.kind}`);
}

// -- what is shown -------------------------------------------------------------------------------

function status(state, words, action) {
  const line = $("status");
  if (line.dataset.state !== state || line.textContent !== words) {
    line.textContent = words;
    line.dataset.state = state;
    if (action) {
      const button = make("button", "", state === "over" ? "Use it here" : "Now");
      button.type = "button";
      button.onclick = action;
      line.append(" ", button);
    }
  }
  $("send").disabled = state !== "ok";
}

function showMessage({ id, name, text: words, at }) {
  if (log.querySelector(`[data-id="${Number(id)}"]`)) return;
  const item = make("li", name === me.name ? "said mine" : "said");
  item.dataset.id = id;
  const who = make("span", "name", name);
  item.style.setProperty("--hue", hue(name));
  const when = make("time", "", new Date(at * 1000).toLocaleTimeString([], { timeStyle: "short" }));
  when.dateTime = new Date(at * 1000).toISOString();
  const body = make("div", "text", words);
  who.dir = body.dir = "auto";
  item.append(who, when, body);
  add(item, [...log.querySelectorAll("[data-id]")].find((other) => Number(other.dataset.id) > id));
}

function notice(words, warn = false) {
  add(make("li", warn ? "notice warn" : "notice", words));
}

function add(item, before = null) {
  const follow = log.scrollHeight - log.scrollTop - log.clientHeight < NEAR_END;
  log.insertBefore(item, before);
  while (log.children.length > MAX_SHOWN) log.firstChild.remove();
  if (follow) log.scrollTop = log.scrollHeight;
}

function showPeople() {
  const names = [...people].sort((a, b) => a.localeCompare(b));
  $("count").textContent = `(${names.length})`;
  $("people").replaceChildren(...names.map((name) => {
    const item = make("li", "", name);
    item.style.setProperty("--hue", hue(name));
    return item;
  }));
}

async function listRooms() {
  const response = await fetch("/api/rooms").catch(() => null);
  if (!response?.ok) return;
  const { rooms } = await response.json();
  $("rooms").replaceChildren(...rooms.map((name) => {
    const item = make("li"), button = make("button", "", name);
    button.type = "button";
    if (name === room) button.setAttribute("aria-current", "true");
    button.onclick = () => enter(name);
    item.append(button);
    return item;
  }));
}

function make(tag, name = "", words = "") {
  const element = document.createElement(tag);
  element.className = name;
  element.textContent = words;
  return element;
}

function hue(name) { // FNV-1a: names that are alike get colours that are not
  let hash = 2166136261;
  for (const char of name) hash = Math.imul(hash ^ char.codePointAt(0), 16777619);
  return (hash >>> 0) % 360;
}

// -- what the person does ------------------------------------------------------------------------

function enter(name) {
  name = name.trim().toLowerCase();
  if (name !== room) {
    before = room;
    room = name;
    lost = "";
    people.clear();
    log.replaceChildren();
  }
  history.replaceState(null, "", `#${encodeURIComponent(room)}`);
  document.title = `#${room} · actorkit chat`;
  $("room").textContent = room;
  openSide(false);
  link?.send({ op: "enter", room });
}

function say() {
  const words = text.value.trim();
  if (!words || !signedIn || $("send").disabled) return;
  unanswered.push(words);
  text.value = "";
  link.send({ op: "say", text: words });
}

function unsent() {
  if (unanswered.length && !text.value) text.value = unanswered.join("\n");
  unanswered = [];
}

function openSide(open) {
  $("side").classList.toggle("open", open);
  $("menu").setAttribute("aria-expanded", String(open));
  if (open) listRooms();
}

$("sign-in").onsubmit = (event) => {
  event.preventDefault();
  me.name = $("name").value;
  me.token = "";
  room = $("first-room").value.trim().toLowerCase();
  $("door-error").textContent = "";
  connect();
};
$("composer").onsubmit = (event) => {
  event.preventDefault();
  say();
};
text.onkeydown = (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  say();
};
$("go").onsubmit = (event) => {
  event.preventDefault();
  enter($("other-room").value);
  $("other-room").value = "";
};
$("menu").onclick = () => openSide(!$("side").classList.contains("open"));
$("leave").onclick = async () => {
  await link?.send({ op: "bye" });
  me.token = "";
  sessionStorage.clear();
  showDoor();
  log.replaceChildren();
};
addEventListener("keydown", (event) => {
  if (event.key === "Escape") openSide(false);
});
addEventListener("online", () => link ?? (signedIn || $("chat").hidden || connect()));

if (me.token) connect();
else showDoor();
