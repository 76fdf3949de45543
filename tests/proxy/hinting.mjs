// A site over HTTP/1.1 whose page hints one of its two assets itself. Prints its port.
//
//   /         103 with a Link to /style.css, then the page, once somebody has asked for /style.css
//   /held     the same, however long that takes
//   /asked    what was asked for since the last time, as JSON

import { createServer } from "node:http";

const LINK = "</style.css>; rel=preload; as=style";
const PAGE =
  "<!doctype html><link rel=icon href=data:,>" +
  "<link rel=stylesheet href=/style.css><script src=/script.js></script>";
const TYPES = { "/style.css": "text/css", "/script.js": "text/javascript" };
// Chromium now and then ignores a 103, and then asks for nothing before it has the page.
const LONGEST = 1000;

let asked = [];
let styled = () => {};

async function page(response, longest) {
  const followed = new Promise((resolve) => {
    styled = resolve;
    if (longest) setTimeout(resolve, longest).unref();
  });
  response.writeEarlyHints({ link: LINK });
  await followed;
  response.writeHead(200, { "content-type": "text/html" });
  response.end(PAGE);
}

const server = createServer((request, response) => {
  if (request.url === "/asked") {
    response.end(JSON.stringify(asked));
    asked = [];
    return;
  }
  asked.push(request.url);
  if (request.url === "/" || request.url === "/held") {
    page(response, request.url === "/" ? LONGEST : 0);
    return;
  }
  if (request.url === "/style.css") styled();
  const type = TYPES[request.url];
  response.writeHead(type ? 200 : 404, {
    "content-type": type ?? "text/plain",
    "cache-control": "public, max-age=600",
  });
  response.end("/* */");
});
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
