"""Pages for people's browsers: signing in and out, sessions, devices, claims, and the built-in provider's own page.

Plain HTML from Jinja2, one style sheet, and no script. Pages take the session from a cookie and nothing else; the API
takes bearer tokens and nothing else. So no site that a browser visits can make it call the API.
"""
