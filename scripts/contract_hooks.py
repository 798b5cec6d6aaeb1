"""What schemathesis is to know of this API beyond docs/protocol/openapi.yaml: tokens, and what a schema cannot say.

Loaded by scripts/contract, by SCHEMATHESIS_HOOKS.
"""

import json
import os
import re

import schemathesis

USER_TOKEN = os.environ["CONTRACT_USER_TOKEN"]
API_KEY = os.environ["CONTRACT_API_KEY"]

# Refusals of data that the schema allows: bytes are not characters, and the present is not in a schema.
BEYOND_SCHEMA = re.compile(
    r" bytes|at most 30 days ahead|must not lie in the future|have expired already|nested|not JSON"
    r"|payload must not hold a key|payload\.(chatId|messageId) must be|for WebSockets|the key .* is there twice"
    r"|nothing is to be updated|cursor is none of ours|topics of kind|users' presence is their own|was delivered already"
)


@schemathesis.auth(refresh_interval=None)
class Tokens:
    """A server's key for what only servers may call, a user's token for the rest."""

    def get(self, case, context):
        schemes = [name for entry in case.operation.definition.raw.get("security", []) for name in entry]
        if not schemes:
            return None
        return API_KEY if schemes[0] == "apiKey" else USER_TOKEN

    def set(self, case, token, context):
        if token:
            case.headers = case.headers or {}
            case.headers["Authorization"] = f"Bearer {token}"


@schemathesis.hook
def before_call(context, case, kwargs):
    """Polls are answered at once: what is held is tested elsewhere."""
    if case.operation.path != "/realtimePingV1" or not isinstance(case.body, dict) or "data" not in case.body:
        return
    data = case.body["data"] or {}
    if isinstance(data, dict):
        hold = data.get("holdMs")
        if hold is None or isinstance(hold, dict) or isinstance(hold, int) and 0 <= hold <= 60000:
            case.body = {**case.body, "data": {**data, "holdMs": 0}}


@schemathesis.check
def what_the_schema_allows_is_taken(context, response, case):
    """A 400 to data that the schema allows is one of those that no schema can tell."""
    generation = case.meta.generation if case.meta else None
    if generation is None or not generation.mode.is_positive or response.status_code != 400:
        return
    data = case.body.get("data")
    if isinstance(data, dict) and str(data.get("type")).lower() in ("typing_indicator", "presence_update"):
        # What servers say of a user: whom, and what of it must be there, has many forms.
        return
    message = json.loads(response.content)["error"]["message"]
    assert BEYOND_SCHEMA.search(message), f"refused, though the schema allows it: {message}"


@schemathesis.hook
def before_load_schema(context, raw_schema):
    """Clients pass over members that they do not know; here an answer has those that are written down, and no other."""
    for operations in raw_schema["paths"].values():
        for operation in operations.values():
            close(operation["responses"])
    for name, schema in raw_schema["components"]["schemas"].items():
        close(schema)


def close(schema):
    if isinstance(schema, list):
        for part in schema:
            close(part)
    elif isinstance(schema, dict):
        if "properties" in schema and "oneOf" not in schema:
            schema.setdefault("additionalProperties", False)
        for key, part in schema.items():
            # What narrows another schema names a few of its members only.
            if key not in ("allOf", "oneOf", "anyOf"):
                close(part)
