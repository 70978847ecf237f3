"""The web page: a process of its own, in which people see and change their environments.

It knows the service by the typed client only, and decides nothing itself: each call carries the session token of the
person, from the cookie that the service's sign-in pages have set. It keeps no state.
"""
