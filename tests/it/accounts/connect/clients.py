"""The unmodified twilio library: a developer keeps its connect apps and acts for a user, and the user sees what it has allowed."""

import sys
from urllib.parse import urlsplit

from twilio.base.exceptions import TwilioRestException
from twilio.http.http_client import TwilioHttpClient
from twilio.rest import Client

node, developer, secret, user, user_secret, app, other, connected = sys.argv[1:9]


class Here(TwilioHttpClient):
    """Sends what the library asks of its own servers to the node."""

    def request(self, method, url, *args, **kwargs):
        parts = urlsplit(url)
        query = f"?{parts.query}" if parts.query else ""
        return super().request(method, f"{node}{parts.path}{query}", *args, **kwargs)


def client(name, token):
    return Client(name, token, http_client=Here())


def code(act):
    try:
        act()
    except TwilioRestException as error:
        return f"{error.status}/{error.code}"
    return "no error"


def check(what, found, expected):
    print(what, found if found == expected else f"{found!r} instead of {expected!r}", sep=": ")
    if found != expected:
        sys.exit(1)


# What the developer offers.
offering = client(developer, secret)
check("across pages", [one.sid for one in offering.connect_apps.list(page_size=1)], [other, app])
check("asks for", offering.connect_apps(app).fetch().permissions, ["get-all", "post-all"])
changed = offering.connect_apps(app).update(
    friendly_name="Renamed",
    company_name="Example",
    description="Answers calls.",
    homepage_url="https://app.example/",
    authorize_redirect_url="https://app.example/back",
    deauthorize_callback_url="https://app.example/gone",
    deauthorize_callback_method="GET",
    permissions=["post-all", "get-all"],
)
check("changed", (changed.friendly_name, changed.deauthorize_callback_method), ("Renamed", "GET"))
check("kept", offering.connect_apps(app).fetch().authorize_redirect_url, "https://app.example/back")
check("emptied", offering.connect_apps(app).update(homepage_url="").homepage_url, None)
check("no URL", code(lambda: offering.connect_apps(app).update(homepage_url="nonsense")), "400/20001")
check("no word", code(lambda: offering.connect_apps(app).update(permissions=["keys:write"])), "400/20001")
check("deleted", offering.connect_apps(other).delete(), True)
check("gone", code(lambda: offering.connect_apps(other).fetch()), "404/20404")
check("another's", code(lambda: client(user, user_secret).connect_apps(app).fetch()), "404/20404")

# What the user has allowed.
allowing = client(user, user_secret)
allowed = allowing.authorized_connect_apps.list()
check("allowed", [(one.connect_app_sid, one.connect_app_friendly_name) for one in allowed], [(app, "Renamed")])
fetched = allowing.authorized_connect_apps(app).fetch()
check("as", (fetched.permissions, fetched.connect_app_company_name), (["get-all", "post-all"], "Example"))

# By the subaccount's name and the developer's own secret.
acting = client(connected, secret)
own = acting.api.v2010.accounts(connected).fetch()
check("on", (own.sid, own.owner_account_sid, own.auth_token), (connected, user, None))
made = [acting.applications.create(friendly_name=f"app {n}", voice_url="https://app.example/voice") for n in range(3)]
check("lists", [one.sid for one in acting.applications.list(page_size=2)], [one.sid for one in reversed(made)])
check("updates", acting.applications(made[0].sid).update(friendly_name="new").friendly_name, "new")
check("deletes", acting.applications(made[0].sid).delete(), True)
check("no numbers", acting.incoming_phone_numbers.list(), [])
check("no keys", code(lambda: acting.new_keys.create()), "403/20003")
check("no tokens", code(lambda: acting.accounts.v1.secondary_auth_token().create()), "403/20003")
check("no accounts", code(lambda: acting.api.v2010.accounts.create()), "403/20003")
check("nothing above", code(lambda: acting.api.v2010.accounts(user).fetch()), "404/20404")
check("by its own name", [one.sid for one in offering.api.v2010.accounts(connected).applications.list()], [made[2].sid, made[1].sid])
check("another's secret", code(lambda: client(connected, user_secret).api.v2010.accounts(connected).fetch()), "401/20003")
check("the user's", allowing.api.v2010.accounts(connected).applications(made[1].sid).fetch().friendly_name, "app 1")

# Taken back: the library has no call for that, as there it is done on a page.
path = f"{node}/2010-04-01/Accounts/{user}/AuthorizedConnectApps/{app}.json"
check("taken back", allowing.request("DELETE", path).status_code, 204)
check("over", code(lambda: acting.applications(made[1].sid).fetch()), "403/20003")
check("also by its own name", code(lambda: offering.api.v2010.accounts(connected).fetch()), "403/20003")
check("none", allowing.authorized_connect_apps.list(), [])
