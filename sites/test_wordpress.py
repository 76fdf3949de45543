"""WordPress behind `headstart proxy`: visitors, an editor, and what each may see of the other.

What the proxy answers is held against what nginx answers itself, asked for the same URL.
"""

from __future__ import annotations

import json
import re
import ssl
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.sync_api import Browser

from sites.browser import load
from sites.serving import served
from sites.wordpress import ADMIN, PASSWORD, wordpress
from tests.peers import peer

# A PNG of one pixel.
_IMAGE = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c4944415408d763f8cf"
    "c0000003010100c9fe92ef0000000049454e44ae426082"
)
_LEARN_SECONDS = 20.0
_ADMIN_PAGES = (
    "index.php", "edit.php", "upload.php", "post-new.php", "edit-comments.php", "themes.php",
    "users.php", "profile.php", "options-general.php", "options-permalink.php", "site-health.php",
)  # fmt: skip
_ASSET = re.compile(
    r"""(?:href|src)=["'](https://localhost:\d+(/[^"'#]+\.(?:css|js|png|svg)[^"'#]*))"""
)
# Their responses say when, or to whom, they were made.
_CHANGING = re.compile(rb"nonce|data-pw|[0-9a-f]{10}|\d\d:\d\d:\d\d|overdue by")


@dataclass
class Deployed:
    """WordPress with and without the proxy.

    Attributes:
        port: The proxy's, https.
        upstream: The URL of nginx.
        certificate: PEM file that clients trust.
    """

    port: int
    upstream: str
    certificate: Path

    @property
    def url(self) -> str:
        """The site's URL, as visitors know it."""
        return f"https://localhost:{self.port}"

    def client(self) -> httpx.Client:
        """Return a new visitor, over HTTP/2."""
        trusted = ssl.create_default_context(cafile=str(self.certificate))
        return httpx.Client(base_url=self.url, http2=True, verify=trusted, timeout=60)

    def direct(self) -> httpx.Client:
        """Return a visitor who reaches nginx itself, under the same name."""
        named = {"host": f"localhost:{self.port}", "x-forwarded-proto": "https"}
        return httpx.Client(base_url=self.upstream, headers=named, timeout=60)


@pytest.fixture(scope="module")
def site(
    tmp_path_factory: pytest.TempPathFactory, certificate: tuple[Path, Path]
) -> Iterator[Deployed]:
    """Start WordPress and the proxy."""
    folder = tmp_path_factory.mktemp("story")
    store = folder / "learned.sqlite3"
    (folder / "wp").mkdir()
    learning = ("--store", str(store), "--learn-control-share", "0")
    with (
        wordpress(folder / "wp") as upstream,
        served(["proxy", upstream], folder / "proxy", *certificate, *learning) as proxy,
    ):
        yield Deployed(proxy.port, upstream, certificate[0])


class Editor:
    """Somebody who is logged in, through the proxy."""

    def __init__(self, site: Deployed) -> None:
        self.client = site.client()
        self.client.get("/wp-login.php")
        form = {"log": ADMIN, "pwd": PASSWORD, "wp-submit": "Log In", "redirect_to": "/wp-admin/"}
        self.logged_in = self.client.post("/wp-login.php", data={**form, "testcookie": "1"})
        nonce = self.client.get("/wp-admin/admin-ajax.php", params={"action": "rest-nonce"}).text
        self.client.headers["x-wp-nonce"] = nonce

    def upload(self, name: str, content: bytes) -> str:
        """Upload an image as the block editor does; returns its path."""
        told = {
            "content-type": "image/png",
            "content-disposition": f'attachment; filename="{name}"',
        }
        response = self.client.post("/wp-json/wp/v2/media", content=content, headers=told)
        assert response.status_code == 201, response.text
        return urlsplit(response.json()["source_url"]).path

    def publish(self, title: str, content: str, status: str = "publish") -> str:
        """Publish a post as the block editor does; returns its path."""
        post = {"title": title, "content": content, "status": status, "comment_status": "open"}
        response = self.client.post("/wp-json/wp/v2/posts", json=post)
        assert response.status_code == 201, response.text
        url = urlsplit(response.json()["link"])
        return f"{url.path}?{url.query}" if url.query else url.path


@pytest.fixture(scope="module")
def editor(site: Deployed) -> Iterator[Editor]:
    """Log in once."""
    editor = Editor(site)
    yield editor
    editor.client.close()


@dataclass
class Post:
    """What the editor published."""

    path: str
    image: str


@pytest.fixture(scope="module")
def post(editor: Editor) -> Post:
    """Publish a post with an image."""
    image = editor.upload("kingfisher.png", _IMAGE)
    content = f'<!-- wp:image --><figure><img src="{image}" alt=""/></figure><!-- /wp:image -->'
    return Post(editor.publish("About a kingfisher", content), image)


def test_visitor_after_the_first_is_pushed_the_themes_assets(
    site: Deployed, chromium: Browser
) -> None:
    first = load(chromium, site.url + "/")
    end = time.monotonic() + _LEARN_SECONDS
    while not (pushed := _pushed_to_nghttp(site)) and time.monotonic() < end:
        time.sleep(1.0)

    assert not {*first.hinted, *first.linked} & pushed
    assert any(path.startswith(("/wp-content/themes/", "/wp-includes/")) for path in pushed)
    with site.client() as visitor:
        assert pushed <= _assets(visitor.get("/").text)
    assert _pushed_to_node(site) == pushed


def _pushed_to_nghttp(site: Deployed, page: str = "/") -> set[str]:
    command = [peer("nghttp"), "-nv", "--no-dep", site.url + page]
    said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    plain = re.sub(r"\x1b\[[0-9;]*m", "", said)
    return set(re.findall(r"recv \(stream_id=\d+\) :path: (\S+)", plain))


_NODE = """
const client = require("node:http2").connect(process.argv[1], { rejectUnauthorized: false });
const pushed = [];
client.on("stream", (stream, headers) => { pushed.push(headers[":path"]); stream.resume(); });
const request = client.request({ ":path": "/" });
request.resume();
request.on("close", () => { client.close(); console.log(JSON.stringify(pushed)); });
"""


def _pushed_to_node(site: Deployed) -> set[str]:
    command = [peer("node"), "-e", _NODE, site.url]
    said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    return set(json.loads(said))


def _assets(page: str) -> set[str]:
    return {unescape(path) for _, path in _ASSET.findall(page)}


def test_static_files_are_the_same_octet_for_octet(site: Deployed) -> None:
    with site.client() as proxied, site.direct() as direct:
        paths = _assets(proxied.get("/").text) | {
            "/wp-includes/js/jquery/jquery.min.js", "/wp-admin/images/wordpress-logo.svg",
            "/wp-includes/css/dashicons.min.css", "/wp-includes/images/spinner.gif", "/robots.txt",
        }  # fmt: skip
        for path in sorted(paths):
            here, there = proxied.get(path), direct.get(path)
            assert (path, here.status_code, here.content) == (path, 200, there.content)
            for name in ("content-type", "etag", "last-modified"):
                assert here.headers.get(name) == there.headers.get(name), path


@pytest.mark.parametrize(
    "path",
    ["/", "/hello-world/", "/sample-page/", "/?s=world", "/feed/", "/comments/feed/",
     "/hello-world/feed/", "/category/uncategorized/", "/no-such-page/", "/?p=1", "/wp-login.php",
     "/wp-json/wp/v2/posts"],
)  # fmt: skip
def test_what_a_visitor_reads_is_what_wordpress_wrote(site: Deployed, path: str) -> None:
    with site.client() as proxied, site.direct() as direct:
        here, there = proxied.get(path), direct.get(path)

    assert here.status_code == there.status_code
    assert here.content == there.content
    for name in ("content-type", "location"):
        assert here.headers.get(name) == there.headers.get(name)
    # Ours come behind WordPress's own: only browsers get a 103, and this client gets Links.
    own, told = (each.headers.get_list("link", split_commas=True) for each in (there, here))
    assert told[: len(own)] == own
    assert all("rel=preload" in link for link in told[len(own) :])


def test_editor_logs_in_and_out(site: Deployed) -> None:
    editor = Editor(site)
    cookies = editor.logged_in.headers.get_list("set-cookie")
    page = editor.client.get("/wp-admin/")
    leave = re.search(r'href="(\S+?action=logout\S+?)"', page.text)
    assert leave
    editor.client.get(unescape(leave[1]))
    after = editor.client.get("/wp-admin/")
    editor.client.close()

    assert editor.logged_in.status_code == 302, editor.logged_in.text
    assert urlsplit(editor.logged_in.headers["location"]).path == "/wp-admin/"
    assert any("wordpress_logged_in" in cookie for cookie in cookies)
    assert any("secure" in cookie.lower() for cookie in cookies)
    assert "<title>Dashboard" in page.text
    assert after.status_code == 302
    assert "/wp-login.php" in after.headers["location"]


def test_every_page_of_the_administration_is_as_without_the_proxy(
    site: Deployed, editor: Editor
) -> None:
    with site.direct() as direct:
        direct.cookies = editor.client.cookies
        cookie = "; ".join(f"{c.name}={c.value}" for c in editor.client.cookies.jar)
        for page in _ADMIN_PAGES:
            here = editor.client.get(f"/wp-admin/{page}")
            there = direct.get(f"/wp-admin/{page}", headers={"cookie": cookie})
            assert (page, here.status_code) == (page, 200)
            assert _steady(here.content) == _steady(there.content), page
            bundled = re.findall(r"/wp-admin/load-(?:styles|scripts)\.php\?[^'\"]+", here.text)
            for path in map(unescape, bundled):
                assert editor.client.get(path).content == direct.get(path).content, path


def _steady(page: bytes) -> list[bytes]:
    """Return the page's lines without those that differ from one call to the next."""
    return [line for line in page.splitlines() if not _CHANGING.search(line)]


def test_post_with_an_uploaded_image_is_published(site: Deployed, post: Post) -> None:
    with site.client() as visitor, site.direct() as direct:
        page, image = visitor.get(post.path), visitor.get(post.image)
        home, feed = visitor.get("/"), visitor.get("/feed/")
        found = visitor.get("/", params={"s": "kingfisher"})

        assert direct.get(post.path).content == page.content
    assert post.image in page.text
    assert image.content == _IMAGE
    assert image.headers["content-type"] == "image/png"
    for other in (home, feed, found):
        assert "About a kingfisher" in other.text


def test_large_upload_arrives_whole(site: Deployed, editor: Editor) -> None:
    large = _IMAGE + bytes(range(256)) * 8192  # behind IEND, which readers of PNG ignore
    path = editor.upload("large.png", large)

    with site.client() as visitor:
        assert visitor.get(path).content == large


def test_visitor_comments(site: Deployed, editor: Editor, post: Post) -> None:
    with site.client() as visitor:
        number = re.search(r"name='comment_post_ID' value='(\d+)'", visitor.get(post.path).text)
        assert number
        comment = {"comment": "A fine bird.", "author": "Ada", "email": "ada@example.com"}
        sent = visitor.post("/wp-comments-post.php", data={**comment, "comment_post_ID": number[1]})
        seen = visitor.get(sent.headers["location"])
    waiting = editor.client.get("/wp-json/wp/v2/comments", params={"status": "hold"}).json()

    assert sent.status_code == 302
    assert "A fine bird." in seen.text
    assert ["A fine bird." in one["content"]["rendered"] for one in waiting] == [True]
    with site.client() as other:
        assert "A fine bird." not in other.get(post.path).text


def test_what_an_editor_sees_is_sent_with_no_page_that_others_can_read(
    site: Deployed, editor: Editor
) -> None:
    hidden = editor.upload("unpublished.png", _IMAGE)
    draft = editor.publish("Not yet", f'<img src="{hidden}" alt=""/>', "private")
    navigating = {"sec-fetch-dest": "document", "sec-fetch-mode": "navigate", "accept": "text/html"}
    for page in (draft, "/", *(f"/wp-admin/{page}" for page in _ADMIN_PAGES)):
        seen = editor.client.get(page, headers=navigating)
        assert seen.status_code == 200
        for path in [*sorted(_assets(seen.text)), hidden]:
            kind = urlsplit(path).path.rpartition(".")[2]
            told = {
                "referer": site.url + page,
                "sec-fetch-dest": {"css": "style", "js": "script"}.get(kind, "image"),
                "sec-fetch-mode": "no-cors",
            }
            editor.client.get(path, headers=told)
    time.sleep(4.0)  # views end two seconds after their last asset, and the map changes each second

    with site.client() as stranger:
        for page in ("/", "/hello-world/", "/wp-admin/", "/never-seen/"):
            answer = stranger.get(page, headers=navigating)
            told = answer.headers.get("link", "") + answer.text
            assert hidden not in told
            assert "admin-bar" not in told
    for page in ("/", "/hello-world/", "/wp-admin/", "/never-seen/"):
        pushed = _pushed_to_nghttp(site, page)
        assert not {path for path in pushed if "admin" in path or path == hidden}
