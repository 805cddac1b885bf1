"""Drives the API with the unmodified twilio library, pointed at a node. Each line that it prints is one thing that it found out."""

import sys
from urllib.parse import urlsplit

from twilio.base.exceptions import TwilioRestException
from twilio.http.http_client import TwilioHttpClient
from twilio.jwt.access_token import AccessToken
from twilio.rest import Client

node, account, token, number = sys.argv[1:5]


class Here(TwilioHttpClient):
    """Sends what the library asks of its own servers to the node."""

    def request(self, method, url, *args, **kwargs):
        parts = urlsplit(url)
        query = f"?{parts.query}" if parts.query else ""
        return super().request(method, f"{node}{parts.path}{query}", *args, **kwargs)


def client(name, secret, of=None):
    return Client(name, secret, of or name, http_client=Here())


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


top = client(account, token)

# Accounts.
check("own account", top.api.v2010.accounts(account).fetch().auth_token, token)
subs = [top.api.v2010.accounts.create(friendly_name=f"sub {n}") for n in range(5)]
check("owner", {sub.owner_account_sid for sub in subs}, {account})
listed = top.api.v2010.accounts.list(page_size=2)
check("accounts across pages", [one.sid for one in listed], [sub.sid for sub in reversed(subs)] + [account])
check("by name", [one.sid for one in top.api.v2010.accounts.list(friendly_name="sub 3")], [subs[3].sid])
page = top.api.v2010.accounts.page(page_size=2)
check("back", [one.sid for one in page.next_page().previous_page()], [one.sid for one in page])
sub = client(subs[0].sid, subs[0].auth_token)
check("renamed", top.api.v2010.accounts(sub.account_sid).update(friendly_name="renamed").friendly_name, "renamed")
check("suspended", top.api.v2010.accounts(sub.account_sid).update(status="suspended").status, "suspended")
check("its token then", code(lambda: sub.api.v2010.accounts(sub.account_sid).fetch()), "403/20005")
check("active", top.api.v2010.accounts(sub.account_sid).update(status="active").status, "active")
check("its token again", sub.api.v2010.accounts(sub.account_sid).fetch().status, "active")
check("its own status", code(lambda: sub.api.v2010.accounts(sub.account_sid).update(status="closed")), "403/20003")
check("closed", top.api.v2010.accounts(subs[4].sid).update(status="closed").status, "closed")
check("for ever", code(lambda: top.api.v2010.accounts(subs[4].sid).update(status="active")), "409/20409")
check("no status", code(lambda: top.api.v2010.accounts(subs[1].sid).update(status="open")), "400/20001")
check("another's", code(lambda: sub.api.v2010.accounts(account).fetch()), "404/20404")
check("nobody's", code(lambda: sub.api.v2010.accounts("AC" + "0" * 32).fetch()), "404/20404")

# Keys.
keys = [top.new_keys.create(friendly_name=f"key {n}") for n in range(3)]
check("keys across pages", [key.sid for key in top.keys.list(page_size=1)], [key.sid for key in reversed(keys)])
by_key = client(keys[0].sid, keys[0].secret, account)
check("a key's own account", by_key.api.v2010.accounts(account).fetch().auth_token, None)
check("a key makes no keys", code(lambda: by_key.new_keys.create()), "403/20003")
check("key renamed", top.keys(keys[0].sid).update(friendly_name="main").friendly_name, "main")
check("key fetched", top.keys(keys[0].sid).fetch().friendly_name, "main")
check("key deleted", top.keys(keys[0].sid).delete(), True)
check("and refused", code(lambda: by_key.api.v2010.accounts(account).fetch()), "401/20003")
check("and gone", code(lambda: top.keys(keys[0].sid).fetch()), "404/20404")
signing = top.new_signing_keys.create(friendly_name="signing")
check("signing keys", [key.sid for key in top.signing_keys.list()], [signing.sid])
check("wrong token", code(lambda: client(account, "wrong").api.v2010.accounts(account).fetch()), "401/20003")

# Applications.
made = [top.applications.create(friendly_name=f"app {n}", voice_url="https://app.example/voice") for n in range(3)]
check("applications", [app.sid for app in top.applications.list(page_size=2)], [app.sid for app in reversed(made)])
check("one by name", [app.sid for app in top.applications.list(friendly_name="app 1")], [made[1].sid])
app = top.applications(made[0].sid).update(voice_method="GET", status_callback="https://app.example/status")
check("changed", (app.voice_url, app.voice_method, app.status_callback), ("https://app.example/voice", "GET", "https://app.example/status"))
check("emptied", top.applications(made[0].sid).update(status_callback="").status_callback, None)
check("no URL", code(lambda: top.applications(made[0].sid).update(voice_url="nonsense")), "400/21205")
check("fetched", top.applications(made[0].sid).fetch().friendly_name, "app 0")
check("deleted", top.applications(made[0].sid).delete(), True)
check("gone", code(lambda: top.applications(made[0].sid).fetch()), "404/20404")

# Numbers.
taken = top.incoming_phone_numbers.create(phone_number=number, voice_application_sid=made[1].sid)
check("taken", (taken.phone_number, taken.voice_application_sid), (number, made[1].sid))
check("not twice", code(lambda: top.incoming_phone_numbers.create(phone_number=number)), "400/21422")
check("no number", code(lambda: top.incoming_phone_numbers.create(phone_number="5551234")), "400/21421")
check("listed", [one.sid for one in top.incoming_phone_numbers.list(phone_number=number)], [taken.sid])
check("no such application", code(lambda: top.incoming_phone_numbers(taken.sid).update(voice_application_sid="AP" + "0" * 32)), "400/21218")
given = top.incoming_phone_numbers(taken.sid).update(account_sid=sub.account_sid, friendly_name="given")
check("given", (given.account_sid, given.friendly_name, given.voice_application_sid), (sub.account_sid, "given", None))
check("not ours any more", code(lambda: top.incoming_phone_numbers(taken.sid).fetch()), "404/20404")
check("a parent acts for it", top.api.v2010.accounts(sub.account_sid).incoming_phone_numbers.list()[0].sid, taken.sid)
check("released", sub.incoming_phone_numbers(taken.sid).delete(), True)
check("to nobody", sub.incoming_phone_numbers.list(), [])

# Tokens.
secondary = sub.accounts.v1.secondary_auth_token().create().secondary_auth_token
second = client(sub.account_sid, secondary)
check("both tokens", [who.api.v2010.accounts(sub.account_sid).fetch().status for who in (sub, second)], ["active"] * 2)
check("promoted", second.accounts.v1.auth_token_promotion().update().auth_token, secondary)
check("the first is over", code(lambda: sub.api.v2010.accounts(sub.account_sid).fetch()), "401/20003")

# What a client gets that the account's server has signed a token for.
jwt = AccessToken(account, signing.sid, signing.secret, identity="alice", ttl=600)
print("token", jwt.to_jwt(), sep=": ")
