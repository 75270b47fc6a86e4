// The two ways to the server. Both have send(operation) and close(), and call `hear` with an answer
// {op, ok | error} or a batch {events, last, missed}, and once `ended` with {over, why}: over means
// that coming again is of no use.

const SILENCE = 45_000; // milliseconds after which a connection that says nothing is taken for lost

const DISPLACED = 1008;

/** A websocket. `hello` is its first operation. */
export function openWebSocket(hello, hear, ended) {
  const socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/ws`);
  let timer = 0;
  let opened = false;

  const end = (over, why) => {
    clearTimeout(timer);
    socket.onmessage = socket.onclose = null;
    socket.close();
    ended({ over, why, opened });
  };
  const listen = () => {
    clearTimeout(timer);
    timer = setTimeout(() => end(false, ""), SILENCE);
  };

  socket.onopen = () => {
    opened = true;
    socket.send(JSON.stringify(hello));
  };
  socket.onmessage = (message) => {
    listen();
    hear(JSON.parse(message.data));
  };
  socket.onclose = (event) => end(event.code === DISPLACED, event.reason);
  listen();

  return {
    kind: "websocket",
    send: (operation) => socket.send(JSON.stringify(operation)),
    close: () => end(true, ""),
  };
}

/** Long polling: one request waits for events, operations go one after the other. */
export function openPolling(hello, hear, ended) {
  const stop = new AbortController();
  let session = null;
  let queue = Promise.resolve();
  let live = true;

  const end = (over, why) => {
    if (!live) return;
    live = false;
    stop.abort();
    ended({ over, why, opened: true });
  };
  const request = async (path, body) => {
    const headers = { Authorization: `Bearer ${session?.token}` };
    const options = { headers, signal: AbortSignal.any([stop.signal, AbortSignal.timeout(SILENCE)]) };
    if (body) {
      headers["Content-Type"] = "application/json";
      Object.assign(options, { method: "POST", body: JSON.stringify(body) });
    }
    const response = await fetch(path, options);
    return { status: response.status, content: await response.json() };
  };
  const follow = async () => {
    let last = session.last;
    while (live) {
      const { status, content } = await request(`/api/events?reader=${session.reader}&last=${last}`);
      if (status !== 200) return end(status === 409, content.error);
      last = content.last;
      if (live) hear(content);
    }
  };
  const lost = () => end(false, "");

  const send = (operation) => {
    queue = queue.then(async () => {
      const { status, content } = await request("/api/op", operation);
      if (status === 401) end(false, content.error);
      else if (live) hear({ op: operation.op, ...content });
    }).catch(lost);
    return queue;
  };

  request("/api/hello", hello).then(({ content }) => {
    if (!live) return;
    hear({ op: "hello", ...content });
    if (!content.ok) return;
    session = content;
    queueMicrotask(() => follow().catch(lost));
  }).catch(lost);

  return { kind: "long polling", send, close: () => queue.then(() => end(true, "")) };
}
