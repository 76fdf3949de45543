// An HTTP/2 server in cleartext and over TLS. Arguments: ROOT CLEAR_PORT TLS_PORT KEY CERT STREAMS.
//
//   /page.html       103 with a Link, then pushes of /style.css and /script.js, then the file
//   /hinted.html     the same without pushes
//   /echo            the request's content
//   /trailers        a file with a trailer
//   /goaway          answers, and takes no more requests on this connection
//   /reset           RST_STREAM with INTERNAL_ERROR in the middle of the content
//   /pushes?N        N pushes, /pushed/1 to /pushed/N
//   /broken-push     a push that is reset in the middle of its content
//   any other        the file of ROOT

import { createSecureServer, createServer, constants } from "node:http2";
import { readFileSync } from "node:fs";
import { join, normalize } from "node:path";

const [root, clearPort, tlsPort, key, cert, streams] = process.argv.slice(2);
const TYPES = { html: "text/html", css: "text/css", js: "text/javascript", txt: "text/plain" };
const LINK = "</style.css>; rel=preload; as=style, </script.js>; rel=preload; as=script";

function sendFile(stream, path) {
  let content;
  try {
    content = readFileSync(join(root, normalize(path)));
  } catch {
    stream.respond({ ":status": 404 }, { endStream: true });
    return;
  }
  stream.respond({
    ":status": 200,
    "content-type": TYPES[path.split(".").pop()] ?? "application/octet-stream",
    "content-length": content.length,
    "cache-control": "max-age=60",
  });
  stream.end(content);
}

function push(stream, path, answer) {
  if (!stream.pushAllowed) return;
  stream.pushStream({ ":path": path }, (error, pushed) => {
    if (error) return;
    pushed.on("error", () => {}); // the client may refuse it
    answer(pushed);
  });
}

function withTrailer(stream) {
  stream.on("wantTrailers", () => stream.sendTrailers({ checksum: "1a2b" }));
  stream.respond({ ":status": 200, trailer: "checksum" }, { waitForTrailers: true });
  stream.end("with a trailer");
}

function breakOff(stream, headers) {
  stream.respond(headers);
  stream.write("half", () => stream.destroy(new Error("broken off")));
}

function answer(stream, headers) {
  stream.on("error", () => {}); // the client may cancel it
  const [path, query] = headers[":path"].split("?");
  switch (path) {
    case "/page.html":
      stream.additionalHeaders({ ":status": 103, link: LINK });
      for (const asset of ["/style.css", "/script.js"]) {
        push(stream, asset, (pushed) => sendFile(pushed, asset));
      }
      sendFile(stream, path);
      break;
    case "/hinted.html":
      stream.additionalHeaders({ ":status": 103, link: LINK });
      sendFile(stream, path);
      break;
    case "/echo":
      stream.respond({ ":status": 200 });
      stream.pipe(stream);
      break;
    case "/trailers":
      withTrailer(stream);
      break;
    case "/goaway":
      stream.session.goaway(constants.NGHTTP2_NO_ERROR, stream.id);
      stream.respond({ ":status": 200 });
      stream.end("the last one");
      break;
    case "/reset":
      breakOff(stream, { ":status": 200 });
      break;
    case "/pushes":
      for (let number = 1; number <= Number(query); number++) {
        push(stream, `/pushed/${number}`, (pushed) => {
          pushed.respond({ ":status": 200 });
          pushed.end(`push ${number}`);
        });
      }
      stream.respond({ ":status": 200 });
      stream.end();
      break;
    case "/broken-push":
      push(stream, "/broken.txt", (pushed) => breakOff(pushed, { ":status": 200 }));
      stream.respond({ ":status": 200 });
      stream.end();
      break;
    case "/broken.txt":
      stream.respond({ ":status": 200 });
      stream.end("whole");
      break;
    default:
      sendFile(stream, path);
  }
}

// Whoever asks for large files and gives up leaves much in memory for a moment.
const maxSessionMemory = 100;
const settings = { maxConcurrentStreams: Number(streams) };
const servers = [
  [createServer({ settings, maxSessionMemory }), clearPort],
  [createSecureServer({ settings, maxSessionMemory, key: readFileSync(key), cert: readFileSync(cert) }), tlsPort],
];
for (const [server, port] of servers) {
  server.on("stream", answer);
  server.on("sessionError", () => {}); // a client that went away
  server.listen(Number(port), "127.0.0.1");
}
