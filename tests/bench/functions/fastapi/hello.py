"""Validates what it gets, with what comes along with FastAPI."""

from fastapi.encoders import jsonable_encoder
from pydantic import BaseModel


class Asked(BaseModel):
    name: str = "you"


def handler(event, context):
    asked = Asked.model_validate(event["data"] if isinstance(event["data"], dict) else {})
    print("edit 0")
    return jsonable_encoder({"hello": asked})
