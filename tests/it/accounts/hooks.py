"""Has schemathesis ask about what is there in half of the cases, and reads answers line by line.

What generated data cannot know comes in SCHEMATHESIS_KNOWN, a JSON object: names of what the test has made, and where its origin is.
"""

import base64
import json
import os

import schemathesis
from hypothesis import strategies as st

with open(os.environ["SCHEMATHESIS_KNOWN"]) as file:
    KNOWN = json.load(file)
with open(KNOWN["audio"], "rb") as file:
    AUDIO = file.read()


def is_chosen(value):
    """Half of all values, always the same ones."""
    return sum(repr(value).encode()) % 2 == 0


def known(operation, name):
    """What the test has made of this kind. What is deleted is another one than what is asked about."""
    value = KNOWN.get(name)
    if name == "sid":
        value = value.get(operation.path.split("/")[4])
    if isinstance(value, list):
        value = value[operation.method.upper() == "DELETE"]
    return value


@schemathesis.hook
def map_path_parameters(context, path_parameters):
    if not path_parameters or not all(isinstance(value, str) for value in path_parameters.values()):
        return path_parameters
    mapped = dict(path_parameters)
    operation = context.operation
    for name, value in path_parameters.items():
        made = known(operation, name)
        if made and is_chosen(path_parameters):
            mapped[name] = made
        elif name == "source":
            # What is elsewhere is refused; a text is short, and is spoken.
            source = KNOWN["url"] if operation.path.startswith("/fetch") else value[:40]
            is_plain = "/plain/" in operation.path
            mapped[name] = source if is_plain else base64.urlsafe_b64encode(source.encode()).decode().rstrip("=")
    return mapped


@schemathesis.hook
def map_headers(context, headers):
    """What is not in the cache is 504 for who asks the cache alone: that is no failure, and would hide those that are."""
    if not headers:
        return headers
    mapped = {name: value for name, value in headers.items() if "only-if-cached" not in str(value).lower()}
    if "Upload-Offset" in mapped and is_chosen(mapped):
        mapped["Upload-Offset"] = "0"
    return mapped


@schemathesis.hook
def map_body(context, body):
    if isinstance(body, bytes):
        return AUDIO if is_chosen(body) else body
    if not isinstance(body, dict):
        return body
    mapped = {name: made(name, value) for name, value in body.items()}
    if isinstance(mapped.get("voice"), str) and is_chosen(mapped):
        mapped["voice"] = "en-us"
    return mapped


def made(name, value):
    """Sources are those of the test, and half of what is asked for can be had."""
    if name == "source" and isinstance(value, dict):
        return {kind: made(kind, inner) for kind, inner in value.items()}
    if name == "sources" and isinstance(value, list):
        return [made("source", source) for source in value]
    if name == "formats" and isinstance(value, list):
        return [made("format", format) for format in value]
    if isinstance(value, str) and is_chosen(value):
        return {"url": KNOWN["url"], "prefix": KNOWN["url"], "upload": KNOWN["content_hash"][0], "format": "ulaw"}.get(name, value)
    if name == "options" and isinstance(value, dict) and is_chosen(value):
        return {}
    return value


schemathesis.openapi.media_type("application/octet-stream", st.one_of(st.just(AUDIO), st.binary(max_size=64)))
schemathesis.openapi.media_type("application/offset+octet-stream", st.one_of(st.just(AUDIO), st.binary(max_size=64)))


@schemathesis.deserializer("application/x-ndjson")
def lines(context, response):
    """What the document says of a line is held against the first, and of the others what matters most."""
    found = [json.loads(line) for line in response.content.splitlines()]
    for line in found:
        assert ("media" in line) != ("problem" in line), line
        if "problem" in line:
            assert line["problem"]["status"] == line["status"] < 500, line
    # A request for nothing is answered with no line at all.
    return found[0] if found else {"source": 0, "format": "", "status": 200}
