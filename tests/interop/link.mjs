// One association over one zmq socket: batches in order, acknowledgements, the window, signs of life, the
// end. Knows nothing of actors.

import { packFrame, unpackFrame } from "./values.mjs";

export const [HELLO, WELCOME, REFUSAL, BATCH, GOODBYE] = [0, 1, 2, 3, 4];

const BATCH_RECORDS = 500; // a batch is full with so many, or with so much
const BATCH_BYTES = 2 ** 20;
const WINDOW_RECORDS = 65_536; // so much may go without an acknowledgement
const WINDOW_BYTES = 64 * 2 ** 20;
const ACK_BATCHES = 32; // so many batches, or milliseconds, before we acknowledge
const ACK_AFTER = 20;
const SIGN_OF_LIFE = 1_000;
const SILENCE = 60_000;
const LAST_WORDS = 100; // milliseconds for what came before a connection broke

export class Association {
  alive = true;
  #sent = 0; // our last batch
  #heard = 0; // theirs
  #queue = []; // batches to send; the last one takes more records
  #onTheWay = []; // batches without an acknowledgement, and what they hold together:
  #records = 0;
  #bytes = 0;
  #owed = 0; // batches that we have not acknowledged
  #sending = false;
  #waiting = []; // for an acknowledgement, or the end
  #sentAt = Date.now();
  #heardAt = Date.now();
  #timer = setInterval(() => this.#lookAround(), SIGN_OF_LIFE / 2);

  /** Calls `onRecord(head, body, frames)` for all that comes, and `onEnd(reason)` once. */
  constructor(socket, onRecord, onEnd) {
    Object.assign(this, { socket, onRecord, onEnd });
    socket.events.on("disconnect", () => setTimeout(() => this.#end("the connection was lost"), LAST_WORDS));
    this.#receive();
  }

  /** Adds a record to the last batch; `pack(frames)` makes its content, and adds big buffers to `frames`.
   *  Throws what that throws. Resolves when the batch is sent. */
  put(head, number, pack) {
    let batch = this.#queue.at(-1);
    if (!batch || batch.records.length >= 2 * BATCH_RECORDS || batch.bytes >= BATCH_BYTES) {
      batch = { records: [], frames: [], bytes: 0 };
      batch.sent = new Promise((resolve) => (batch.resolve = resolve));
      this.#queue.push(batch);
    }
    const frames = [...batch.frames];
    const content = pack(frames); // if that throws, the batch stays as it was
    batch.bytes += frames.slice(batch.frames.length).reduce((sum, frame) => sum + frame.length, content.length);
    batch.frames = frames;
    batch.records.push(head, number === null ? content : [number, content]);
    this.#flush();
    return batch.sent;
  }

  /** Says goodbye when all that was put has arrived: the end of the connection could overtake it. */
  async close(reason, again = false) {
    while (this.alive && this.#queue.length + this.#records > 0)
      await new Promise((go) => this.#waiting.push(go));
    await this.#leave(reason, again);
  }

  async #flush() {
    if (this.#sending) return;
    this.#sending = true;
    await null; // what else is told in this turn goes into the same batch
    while (this.#queue.length > 0 && this.#records < WINDOW_RECORDS && this.#bytes < WINDOW_BYTES) {
      const batch = this.#queue.shift();
      await this.#send(batch);
      batch.resolve();
    }
    this.#sending = false;
  }

  #send({ records, frames, bytes } = { records: [], frames: [], bytes: 0 }) {
    if (!this.alive) return;
    this.#onTheWay.push({ seq: ++this.#sent, count: records.length / 2, bytes });
    this.#records += records.length / 2;
    this.#bytes += bytes;
    this.#owed = 0;
    this.#sentAt = Date.now();
    return this.#write([packFrame([BATCH, this.#sent, this.#heard, records]), ...frames]);
  }

  #write(frames) {
    return this.socket.send(frames).catch((error) => this.#end(`${error}`));
  }

  #lookAround() {
    if (Date.now() - this.#heardAt > SILENCE) this.#end("silence");
    else if (Date.now() - this.#sentAt >= SIGN_OF_LIFE / 2) this.#send();
  }

  async #receive() {
    try {
      for await (const [first, ...frames] of this.socket) {
        this.#heardAt = Date.now();
        const [what, ...rest] = unpackFrame(first);
        if (what === BATCH) this.#take(rest, frames);
        else if (what === GOODBYE || what === REFUSAL) this.#end(rest[0]);
        else throw new Error("a second handshake");
      }
    } catch (error) {
      await this.#leave(`protocol error: ${error}`, true);
    }
  }

  #take([seq, ack, records], frames) {
    if (seq !== this.#heard + 1 || ack > this.#sent) throw new Error("a batch out of turn");
    this.#heard = seq;
    while (this.#onTheWay[0]?.seq <= ack) {
      const { count, bytes } = this.#onTheWay.shift();
      this.#records -= count;
      this.#bytes -= bytes;
    }
    for (const go of this.#waiting.splice(0)) go();
    this.#flush();
    if (records.length === 0) return; // a sign of life, or an acknowledgement
    for (let i = 0; i < records.length; i += 2) this.onRecord(Number(records[i]), records[i + 1], frames);
    if (++this.#owed >= ACK_BATCHES) this.#send();
    else if (this.#owed === 1) setTimeout(() => this.#owed > 0 && this.#send(), ACK_AFTER);
  }

  /** `again` false asks the other side not to connect by itself. */
  async #leave(reason, again) {
    if (this.alive) await this.#write([packFrame([GOODBYE, reason, again])]);
    this.#end(reason);
  }

  #end(reason) {
    if (!this.alive) return;
    this.alive = false;
    clearInterval(this.#timer);
    this.socket.close();
    for (const batch of this.#queue.splice(0)) batch.resolve();
    for (const go of this.#waiting.splice(0)) go();
    this.onEnd(reason);
  }
}
