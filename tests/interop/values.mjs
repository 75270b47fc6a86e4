// The values of docs/wire-protocol.md in JavaScript: its extension types.
//
// Whole numbers are integers; BigInt is one of any size, and what comes with more than 32 bits. Decimals,
// UUIDs, dates, times and timedeltas stay ExtData, which goes back as it came. A map is an object: its keys
// become texts, and the library takes none that is "__proto__".

import { ExtData, ExtensionCodec, decode, encode } from "@msgpack/msgpack";

const NESTING = 64;
const BIG_BUFFER = 65_536;
const READING = { useBigInt64: true, mapKeyConverter: (key) => (typeof key === "number" ? key : `${key}`) };

export class Tuple extends Array {}
export class FrozenSet extends Set {}

/** A message of a class with a name on both sides; `fields` is an object. */
export class Message {
  constructor(name, fields) {
    Object.assign(this, { name, fields });
  }
}

/** A call of a method: actors have it as their method. */
export class Call {
  constructor(name, args, kwargs = {}) {
    Object.assign(this, { name, args, kwargs });
  }
}

/** Why an actor ended: normal, shutdown, killed, failed, node_lost, not_found. */
export class Reason {
  constructor(text) {
    this.text = text;
  }
}

export class NdArray {
  constructor(dtype, shape, data) {
    Object.assign(this, { dtype, shape, data });
  }
}

/** An error of the other side, or one for it: it makes a KeyError("x") of ("KeyError", ["x"]). */
export class RemoteError extends Error {
  constructor(type, args, text = `${args}`, traceback = "") {
    super(text);
    Object.assign(this, { type, args, traceback });
  }
}

/** What each frame is: msgpack without extension types. */
export const packFrame = (value) => encode(value);
export const unpackFrame = (frame) => decode(frame, READING);

/** What kinds 3 and 4 hold. `context`: `frames`, the batch's big buffers, to which packing adds (without
 *  it they stay in place); `Ref`, the class of references; `ref(name, incarnation, …)`, which makes one. */
export const pack = (value, context) => encode(value, { extensionCodec: codec, context, maxDepth: NESTING });
export const unpack = (data, context) => decode(data, { ...READING, extensionCodec: codec, context });

const codec = new ExtensionCodec();
const ascii = (text) => Buffer.from(text, "ascii");
const text = (data) => Buffer.from(data).toString("ascii");

/** One extension type: `data` and `value` make one of the other. */
function extension(type, matches, data, value) {
  const encode = (object, context) => (matches(object, context) ? data(object, context) : null);
  codec.register({ type, encode, decode: (bytes, _type, context) => value(bytes, context) });
}

/** One whose data is a list: `list` takes a value apart, `make` makes it anew. */
function listed(type, matches, list, make) {
  const value = (data, context) => make(unpack(data, context), context);
  extension(type, matches, (object, context) => pack(list(object), context), value);
}

const is = (cls) => (value) => value instanceof cls;
const isSet = (value) => value instanceof Set && !(value instanceof FrozenSet);
const isBigBuffer = (value, { frames }) => frames && value instanceof Uint8Array && value.length >= BIG_BUFFER;

listed(
  1,
  (value, { Ref }) => Ref && value instanceof Ref,
  (ref) => [ref.name, ref.incarnation, ref.address, ref.path, ref.uid],
  (parts, context) => context.ref(...parts),
);
listed(2, is(Tuple), (tuple) => [...tuple], (items) => Tuple.from(items));
listed(3, isSet, (set) => [...set], (items) => new Set(items));
listed(4, is(FrozenSet), (set) => [...set], (items) => new FrozenSet(items));
extension(5, (value) => typeof value === "bigint", twosComplement, (data) =>
  BigInt.asIntN(8 * data.length, BigInt(`0x${Buffer.from(data).toString("hex")}`)),
);
extension(8, is(Date), (date) => ascii(date.toISOString()), (data) => new Date(text(data)));
listed(12, is(Message), (message) => [message.name, message.fields], (parts) => new Message(...parts));
listed(13, is(Call), (call) => [call.name, call.args, call.kwargs], (parts) => new Call(...parts));
listed(
  14,
  is(Error),
  (error) => [error.type ?? error.name, error.args ?? null, error.message, error.traceback ?? error.stack],
  (parts) => new RemoteError(...parts),
);
extension(15, is(Reason), (reason) => ascii(reason.text), (data) => new Reason(text(data)));
extension(
  16,
  isBigBuffer,
  (buffer, { frames }) => encode(frames.push(buffer) - 1),
  (data, { frames }) => frame(decode(data), frames),
);
listed(
  17,
  is(NdArray),
  (array) => [array.dtype, array.shape, array.data],
  ([dtype, shape, data], { frames }) =>
    new NdArray(dtype, shape, typeof data === "number" ? frame(data, frames) : data),
);
// The library's own type -1 takes Date before us.
codec.register({ type: -1, encode: () => null, decode: (data, type) => new ExtData(type, data) });

function frame(number, frames) {
  if (number in frames) return frames[number];
  throw new Error(`there is no frame ${number}`);
}

function twosComplement(value) {
  const bytes = [];
  for (; value < -128n || value > 127n; value >>= 8n) bytes.unshift(Number(value & 255n));
  return Uint8Array.from([Number(value & 255n), ...bytes]);
}
