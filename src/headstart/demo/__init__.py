"""What `headstart demo` serves.

echo.py  the push echo: what is posted is pushed back
"""
