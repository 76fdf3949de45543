"""Real servers that are not ours, each started with a site and a configuration of its own.

    running.py    Server, Folder: how one is started, unprivileged, and ended
    site.py       what all of them serve
    nghttpd.py, node.py, nginx.py, apache.py, h2o.py    one each

Every module has one context manager, named as the module, that yields a `Server`.
"""
