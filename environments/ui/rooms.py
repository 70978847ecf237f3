"""Which pages belong together: the links beside one another on each of them."""

from environments.ui.listing import Link

EVENTS = (
    Link("Received events", "/events"),
    Link("Triggers", "/triggers"),
    Link("Previews", "/previews"),
    Link("Webhooks", "/webhooks"),
)
SERVICE = (
    Link("Health", "/service"),
    Link("Workers", "/workers"),
    Link("Holds", "/holds"),
    Link("Policies", "/policies"),
    Link("Calendars", "/calendars"),
    Link("Warnings", "/channels"),
    Link("Images", "/images"),
)
PEOPLE = (
    Link("People", "/people"),
    Link("Groups", "/groups"),
    Link("Service accounts", "/accounts"),
    Link("Roles", "/roles"),
    Link("Who may do what", "/access"),
    Link("Audit", "/audit"),
)
OWN = (
    Link("Settings", "/settings"),
    Link("Your account", "/account"),
    Link("Sessions", "/sessions"),
    Link("Tokens", "/tokens"),
)
