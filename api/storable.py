"""Bodies with nothing in them that Postgres cannot hold."""

from typing import Self

from pydantic import BaseModel, ConfigDict, model_validator

from api.request_schemas import refuse_unstorable


class StorableBody(BaseModel):
    """What an operator or an owner asks for; fields that are not listed are refused."""

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="after")
    def _is_storable(self) -> Self:
        refuse_unstorable(self.model_dump())
        return self
