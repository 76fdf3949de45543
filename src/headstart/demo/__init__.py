"""What `headstart demo` serves.

    app.py      the application: which path goes where
    echo.py     the push echo: what is posted is pushed back
    site.py     a small site whose second visitor gets everything ahead
    respond.py  what these share

Imported by the command line.
"""
