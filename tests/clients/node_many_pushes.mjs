// node node_many_pushes.mjs ORIGIN PAGES -- asks for /page/1 to /page/PAGES on one connection, five
// at a time. One line for each response: kind path body
import { connect } from 'node:http2';
import { text } from 'node:stream/consumers';

const [origin, pages] = process.argv.slice(2);
const client = connect(origin, { rejectUnauthorized: false });
client.on('error', (error) => { throw error; });

async function show(kind, path, stream) {
  console.log(kind, path, await text(stream));
}

let pushes = [];
client.on('stream', (pushed, request) => pushes.push(show('push', request[':path'], pushed)));
for (let first = 1; first <= Number(pages); first += 5) {
  const paths = [0, 1, 2, 3, 4].map((more) => `/page/${first + more}`);
  await Promise.all(paths.map((path) => show('page', path, client.request({ ':path': path }))));
  await Promise.all(pushes); // all are promised before their page ends
  pushes = [];
}
client.close();
