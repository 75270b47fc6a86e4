// A node of actorkit in JavaScript, written from docs/wire-protocol.md.
//
//     const node = new Node("js");
//     const peer = await node.connect("tcp://127.0.0.1:7001");
//     const pong = await peer.lookup("/pong");
//     await pong.ask("ping");
//     await node.close();
//
// Ref is an actor anywhere, Node is this process, Peer another node during one association. What can be
// sent is in values.mjs, the association itself in link.mjs. Not here: listening, links, groups.

import { randomUUID } from "node:crypto";
import { Dealer } from "zeromq";
import { Association, HELLO, REFUSAL, WELCOME } from "./link.mjs";
import { Call, Message, Reason, RemoteError, Tuple, pack, packFrame, unpack, unpackFrame } from "./values.mjs";

export * from "./values.mjs";

const VERSION = 1;
const ASK = 8; // the bit of a head that makes a question; the lower ones say what its body is:
const [PLAIN, TUPLE, SCHEMA, PACKED, FAILED] = [0, 1, 2, 3, 4];

/** An actor anywhere. `tell` resolves when the message is on its way: await it to tell no faster than that.
 *  What is told to a node that is not connected is dropped. */
export class Ref {
  #node;

  constructor(node, name, incarnation, address, path, uid) {
    this.#node = node;
    Object.assign(this, { name, incarnation, address, path, uid: Number(uid) });
  }

  tell(message) {
    return this.#peer?.tell(this.uid, message);
  }

  async ask(message, timeout = 5_000) {
    if (!this.#peer) throw new RemoteError("NodeLost", [`${this.name} is not connected`]);
    return this.#peer.ask(this.uid, message, timeout);
  }

  /** A method of the actor, as a tell and as a question. */
  cast(method, ...args) {
    return this.tell(new Call(method, args));
  }

  call(method, ...args) {
    return this.ask(new Call(method, args));
  }

  /** Calls `ended(reason, error)` once, when the actor has ended or its node is lost. */
  watch(ended) {
    if (this.#peer) this.#peer.watch(this.uid, ended);
    else ended("node_lost", null);
  }

  get #peer() {
    return this.#node.peers.get(`${this.name} ${this.incarnation}`);
  }
}

/** This process: its actors, and the nodes to which it is connected. */
export class Node {
  constructor(name) {
    this.name = name;
    this.incarnation = randomUUID();
    this.actors = new Map(); // by uid
    this.peers = new Map(); // by name and incarnation
    this.lastUid = 0;
  }

  /** Makes an actor of an object: messages go to its `receive`, calls to its other methods; what they
   *  return, or its promise, is the answer. It does one thing at a time. What it throws goes to the
   *  asker; where nobody asked, it ends. The reference that this returns is for sending to others. */
  spawn(actor, name = `actor-${this.lastUid + 1}`) {
    const uid = ++this.lastUid;
    const ref = new Ref(this, this.name, this.incarnation, "", `/${name}`, uid);
    this.actors.set(uid, { actor, ref, turn: Promise.resolve(), watchers: new Set() });
    return ref;
  }

  /** Ends an actor: its watchers hear of it, and who asks it gets an error. */
  end(uid, reason = "normal", error = null) {
    const watchers = this.actors.get(uid)?.watchers ?? [];
    this.actors.delete(uid);
    for (const peer of watchers) peer.down(uid, reason, error);
  }

  /** Resolves to a Peer. Rejects with what a refusal says, or when nobody answers for `timeout` ms.
   *  `curve` has publicKey, secretKey, serverKey, each as 40 characters. */
  async connect(address, { timeout = 5_000, curve, version = VERSION } = {}) {
    const socket = new Dealer({
      reconnectInterval: 2 ** 31 - 1, // never: an association ends with its connection
      heartbeatInterval: 1_000,
      heartbeatTimeout: 5_000,
      sendHighWaterMark: 0, // the window is the bound
      receiveHighWaterMark: 0,
      linger: 1_000,
    });
    if (curve) {
      socket.curvePublicKey = curve.publicKey;
      socket.curveSecretKey = curve.secretKey;
      socket.curveServerKey = curve.serverKey;
    }
    const failure = new Promise((_, reject) => {
      const fail = (why) => reject(new Error(`${address}: ${why}`));
      socket.events.on("close", () => fail("nobody listens there"));
      socket.events.on("handshake:error:auth", () => fail("our key is not allowed"));
      socket.events.on("disconnect", () => fail("the connection was lost; does our security fit?"));
      setTimeout(fail, timeout, "no answer").unref();
    });
    failure.catch(() => {}); // it may come when nobody waits for it
    const shake = async (session, replaces) => {
      const hello = [HELLO, version, this.name, this.incarnation, "", session, replaces, {}];
      const answer = socket.send(packFrame(hello)).then(() => socket.receive());
      const [first] = await Promise.race([answer.catch(() => failure), failure]);
      const [what, ...rest] = unpackFrame(first);
      if (what === REFUSAL) throw new Error(`${address} refused: ${rest[0]}`);
      if (what !== WELCOME) throw new Error(`${address} speaks something else`);
      const [, name, incarnation, , agreed] = rest;
      if (agreed === session) return new Peer(this, socket, name, incarnation);
      const peer = this.peers.get(`${name} ${incarnation}`);
      if (!peer) return shake(session, agreed); // for us that association is over
      socket.close();
      return peer;
    };
    try {
      socket.connect(address);
      return await shake(randomUUID(), "");
    } catch (error) {
      socket.linger = 0;
      socket.close();
      throw error;
    }
  }

  async close(reason = "the program ended") {
    await Promise.all([...this.peers.values()].map((peer) => peer.close(reason)));
  }
}

/** Another node, during one association. `ended` resolves to the reason of its end. */
class Peer {
  #link;
  #lastQuestion = 0;
  #questions = new Map(); // by number
  #watched = new Map(); // functions by uid
  #schemas = new Map(); // the other side's, by number

  constructor(node, socket, name, incarnation) {
    Object.assign(this, { node, name, incarnation });
    this.root = new Ref(node, name, incarnation, "", "/", 0); // the node itself
    node.peers.set(`${name} ${incarnation}`, this);
    this.ended = new Promise((resolve) => {
      const onRecord = (head, body, frames) => this.#record(head, body, frames);
      this.#link = new Association(socket, onRecord, (reason) => resolve(this.#lost(reason)));
    });
  }

  lookup(path) {
    return this.root.call("lookup", path);
  }

  /** Starts an actor over there, of a class such as "package.module.Class". */
  spawn(cls, args = [], kwargs = {}, options = {}) {
    return this.root.call("spawn", cls, args, kwargs, options);
  }

  close(reason = "closed", again = false) {
    return this.#link.close(reason, again);
  }

  tell(uid, message) {
    return this.#put(16 * uid + PACKED, null, message);
  }

  ask(uid, message, timeout) {
    const number = ++this.#lastQuestion;
    return new Promise((resolve, reject) => {
      this.#put(16 * uid + ASK + PACKED, number, message);
      const late = new RemoteError("AskTimeout", [`no answer in ${timeout} ms`]);
      const timer = setTimeout(() => this.#settle(number, late, true), timeout);
      this.#questions.set(number, { resolve, reject, timer });
    });
  }

  watch(uid, ended) {
    this.#watched.set(uid, [...(this.#watched.get(uid) ?? []), ended]);
    this.root.cast("watch", uid);
  }

  down(uid, reason, error) {
    this.root.cast("down", uid, new Reason(reason), error);
  }

  #put(head, number, value) {
    return this.#link.put(head, number, (frames) => pack(value, { Ref, frames }));
  }

  #answer(number, kind, value) {
    if (number === null || !this.#link.alive) return;
    if (kind === FAILED) this.#link.put(-(8 * number + kind) - 1, null, () => pack(value, { Ref }));
    else this.#put(-(8 * number + kind) - 1, null, value);
  }

  #record(head, body, frames) {
    if (head < 0) {
      const [number, kind] = [Math.floor((-head - 1) / 8), (-head - 1) % 8];
      const [content, error] = this.#read(kind, body, frames);
      return this.#settle(number, error ?? content, error || kind === FAILED);
    }
    const [uid, asked, kind] = [Math.floor(head / 16), head % 16 >= ASK, head % 8];
    const [number, inner] = asked ? body : [null, body];
    const [message, error] = this.#read(kind, inner, frames);
    if (error) return this.#answer(number, FAILED, error);
    if (uid === 0) return this.#turn(number, this.#service, message).catch(() => {}); // at once
    const entry = this.node.actors.get(uid);
    const turn = () => this.#turn(number, this.node.actors.get(uid)?.actor, message);
    const next = entry ? (entry.turn = entry.turn.then(turn)) : turn();
    next.catch((error) => this.node.end(uid, "failed", error));
  }

  /** What a body holds, or the error of one that cannot be read: that does not end the association. */
  #read(kind, body, frames) {
    try {
      if (kind === PLAIN) return [body];
      if (kind === TUPLE) return [Tuple.from(body)];
      if (kind !== SCHEMA) return [unpack(body, { frames, ref: (...parts) => new Ref(this.node, ...parts) })];
      const { name, fields } = this.#schemas.get(body[0]);
      return [new Message(name, Object.fromEntries(fields.map((field, i) => [field, body[i + 1]])))];
    } catch (error) {
      return [null, new RemoteError("CodecError", [`${error}`])];
    }
  }

  /** One turn of an actor. What nobody asked for and fails rejects. */
  async #turn(number, actor, message) {
    try {
      if (!actor) throw new RemoteError("ActorStopped", ["the actor has ended"]);
      const value = await (message instanceof Call ? perform(actor, message) : actor.receive(message));
      this.#answer(number, PACKED, value);
    } catch (error) {
      if (number === null) throw error;
      this.#answer(number, FAILED, error);
    }
  }

  #settle(number, value, failed) {
    const question = this.#questions.get(number);
    if (!question) return; // nobody waits for it any more
    this.#questions.delete(number);
    clearTimeout(question.timer);
    if (failed) question.reject(value);
    else question.resolve(value);
  }

  /** What the other node calls at ours. */
  #service = {
    lookup: (path) => {
      for (const { ref } of this.node.actors.values()) if (ref.path === path) return ref;
      throw new RemoteError("ActorNotFound", [`there is no ${path} in ${this.node.name}`]);
    },
    watch: (uid) => {
      const actor = this.node.actors.get(uid);
      if (actor) actor.watchers.add(this);
      else this.down(uid, "not_found", null);
    },
    unwatch: (uid) => this.node.actors.get(uid)?.watchers.delete(this),
    down: (uid, reason, error) => this.#ended(uid, reason.text, error),
    stop: (uid) => this.node.end(uid),
    kill: (uid) => this.node.end(uid, "killed"),
    schema: (number, name, fields) => this.#schemas.set(number, { name, fields }),
  };

  #ended(uid, reason, error) {
    const watching = this.#watched.get(uid) ?? [];
    this.#watched.delete(uid);
    for (const ended of watching) ended(reason, error);
  }

  #lost(reason) {
    const error = new RemoteError("NodeLost", [`${this.name} is lost: ${reason}`]);
    this.node.peers.delete(`${this.name} ${this.incarnation}`);
    for (const number of [...this.#questions.keys()]) this.#settle(number, error, true);
    for (const uid of [...this.#watched.keys()]) this.#ended(uid, "node_lost", error);
    return reason;
  }
}

/** Calls a method; arguments with names come last, as an object. */
function perform(actor, { name, args, kwargs }) {
  if (typeof actor[name] !== "function" || name in Object.prototype || name.startsWith("_"))
    throw new RemoteError("AttributeError", [`there is no method ${name}`]);
  return actor[name](...args, ...(Object.keys(kwargs).length > 0 ? [kwargs] : []));
}
