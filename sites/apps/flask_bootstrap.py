"""Flask with Bootstrap-Flask's own files: a WSGI application whose static files say `no-cache`."""

from __future__ import annotations

from flask import Flask, render_template_string
from flask_bootstrap import Bootstrap5

app = Flask(__name__)
app.config["BOOTSTRAP_SERVE_LOCAL"] = True
Bootstrap5(app)

_PAGE = """<!doctype html>
<html lang=en>
<head>
<meta charset=utf-8><title>Orders</title>
{{ bootstrap.load_css() }}
<link rel=stylesheet href="{{ url_for('bootstrap.static', filename=icons) }}">
</head>
<body class=container>
<h1><i class="bi bi-basket"></i> Orders</h1>
<table class=table>{% for n in range(30) %}<tr><td>{{ n }}<td>An order{% endfor %}</table>
{{ bootstrap.load_js() }}
</body>
</html>"""


@app.route("/")
def orders() -> str:
    """Show a page with a stylesheet, an icon font and two scripts."""
    return render_template_string(_PAGE, icons="css/font/bootstrap-icons.min.css")
