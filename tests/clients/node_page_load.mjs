// node node_page_load.mjs URL [ASSET[@REFERER]]... [--no-push] -- loads a page as a browser would: asks for
// each asset that was not promised, with the page (or another asset) as its Referer. One line per response:
// kind path status bytes, where kind is main, push or asset. Needs NODE_EXTRA_CA_CERTS for a certificate of our own.
import http2 from 'node:http2';
const [target, ...rest] = process.argv.slice(2);
const url = new URL(target), push = !rest.includes('--no-push');
const assets = rest.filter(a => !a.startsWith('--')).map(a => a.split('@'));
const client = http2.connect(url.origin, { settings: { enablePush: push } });
const promised = new Set(); let open = 0;
const begin = (kind, path, stream, statusEvent) => {
  open++; let status = 0, bytes = 0;
  stream.on(statusEvent, h => { status = h[':status']; });
  stream.on('data', d => { bytes += d.length; });
  stream.on('error', () => {});
  stream.on('close', () => {
    console.log(`${kind} ${path} ${stream.rstCode ? 'RST' : status} ${bytes}`);
    if (--open === 0) client.close();
  });
};
client.on('error', e => { console.error('ERROR', e.code, e.message); process.exit(1); });
client.on('stream', (stream, headers) => { promised.add(headers[':path']); begin('push', headers[':path'], stream, 'push'); });
const page = client.request({ ':path': url.pathname + url.search, accept: 'text/html' });
begin('main', url.pathname, page, 'response');
page.on('headers', h => console.log(`informational ${url.pathname} ${h[':status']} 0`));
page.on('end', () => {
  for (const [asset, by] of assets) {
    const path = new URL(asset, url).pathname;
    if (!promised.has(path)) begin('asset', path, client.request({ ':path': path, referer: new URL(by ?? '', url).href }), 'response');
  }
});
page.end();
