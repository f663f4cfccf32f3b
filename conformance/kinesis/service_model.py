"""Prints what the operations of an AWS service take, as botocore's model of it states: one JSON object of operations.

    python service_model.py kinesis
    python service_model.py firehose OrcSerDe RedshiftDestinationConfiguration

Behind the service stand the members that are not looked into.
"""

import json
import sys

import botocore.session

KINDS = {"string": "text", "integer": "int", "boolean": "flag", "timestamp": "time", "blob": "blob"}


def described(shape):
    """A shape with its kind, its bounds and what is in it."""
    if shape.type_name == "structure":
        members = {}
        for name, member in shape.members.items():
            shown = {"kind": "other"} if name in others else described(member)
            members[name] = shown | {"required": name in shape.required_members}
        return {"kind": "structure", "members": members}
    if getattr(shape, "enum", None):
        return {"kind": "enum", "values": shape.enum}
    bounds = {"min": shape.metadata.get("min"), "max": shape.metadata.get("max")}
    if shape.type_name == "list":
        return {"kind": "list", **bounds, "item": described(shape.member)}
    if shape.type_name == "map":
        return {"kind": "map", **bounds, "key": described(shape.key), "value": described(shape.value)}
    kind = KINDS[shape.type_name]
    if kind in ("flag", "time"):
        return {"kind": kind}
    if kind == "text":
        return {"kind": kind, **bounds, "pattern": shape.metadata.get("pattern")}
    return {"kind": kind, **bounds}


others = set(sys.argv[2:])
model = botocore.session.get_session().get_service_model(sys.argv[1])
operations = {}
for name in model.operation_names:
    taken = model.operation_model(name).input_shape
    operations[name] = described(taken) if taken else {"kind": "structure", "members": {}}
json.dump(operations, sys.stdout)
